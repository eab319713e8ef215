"""The correction node over real ROS."""

import time

from hierarchy_interfaces import msg
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

from hierarchy_nodes import qos
from hierarchy_nodes.conversions import time_to_msg

NODE = "hierarchy_nodes.correction.node"


class World:
    """What the correction node speaks to: listeners, and an arm that can be stopped."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.order: list[str] = []
        self.resets = 0
        node = graph.node
        self.stops = graph.listen("stop", Empty, qos.EVENT)
        self.corrections = graph.listen("correction", msg.Correction, qos.EVENT)
        self.motions = graph.listen("language_motion", msg.LanguageMotion, qos.EVENT)
        self.status = graph.listen("status", msg.StackStatus, qos.STATUS)
        self.text = node.create_publisher(String, "correction/text", qos.EVENT)
        self.transcript = node.create_publisher(msg.Transcript, "transcript", qos.EVENT)
        self.stop = node.create_publisher(Empty, "stop", qos.EVENT)
        self.state = node.create_publisher(msg.StopState, "stop_state", qos.LATCHED)
        node.create_subscription(Empty, "stop", self._on_stop, qos.EVENT)
        node.create_service(Trigger, "reset_stop", self._on_reset)
        self.set_stopped(False)
        graph.start("correction", NODE, **parameters)
        graph.wait_for(
            lambda: (
                self.text.get_subscription_count()
                and self.transcript.get_subscription_count()
                and self.stop.get_subscription_count() > 1
                and self.state.get_subscription_count()
                and node.count_publishers("correction")
                and node.count_publishers("language_motion")
                and self.status
            ),
            20,
        )
        graph.spin(0.3)

    def _on_stop(self, _):
        self.set_stopped(True)

    def _on_reset(self, _, response):
        self.resets += 1
        # As an arm that is still braking when it is asked first.
        response.success = self.resets > 1
        if response.success:
            self.set_stopped(False)
        return response

    def set_stopped(self, stopped):
        self.stopped = stopped
        self.state.publish(msg.StopState(stopped=stopped, stamp=time_to_msg(time.time())))

    def say(self, text, answers=1):
        before = len(self.corrections)
        self.text.publish(String(data=text))
        self.graph.wait_for(lambda: len(self.corrections) >= before + answers, 10)
        return [m for _, m in self.corrections[before:]]


def test_text_becomes_corrections_and_motion(graph):
    world = World(graph)
    (correction,) = world.say("two centimetres to the left")
    assert correction.kind == "motion"
    assert correction.accepted
    graph.wait_for(lambda: world.motions, 5)
    motion = world.motions[0][1]
    assert motion.correction_id == correction.correction_id
    assert motion.source == "correction"
    assert motion.direction.y == 1.0
    graph.wait_for(lambda: "2 cm to the left" in world.status[-1][1].message, 5)
    # Several in one breath come in order, none is lost.
    kinds = [c.kind for c in world.say("slower, no, the blue one, and open the gripper", 3)]
    assert kinds == ["speed", "retarget", "gripper"]
    texts = [f"left {n} mm" for n in range(1, 9)]
    before = len(world.corrections)
    for text in texts:
        world.text.publish(String(data=text))
    graph.wait_for(lambda: len(world.corrections) >= before + 8, 10)
    assert [m.text for _, m in world.corrections[before:]] == texts
    graph.wait_for(lambda: len(world.motions) == 10, 10)
    ids = [m.correction_id for _, m in world.corrections]
    assert len(set(ids)) == len(ids)


def test_stop_is_latched_until_continue(graph):
    world = World(graph)
    spoken = time.time() - 0.5
    words = msg.Transcript(text="stop!", confidence=0.2)
    words.header.stamp = time_to_msg(spoken)
    world.transcript.publish(words)
    graph.wait_for(lambda: world.corrections, 10)
    assert len(world.stops) == 1
    assert world.stops[0][0] <= world.corrections[0][0]
    correction = world.corrections[0][1]
    assert correction.kind == "stop"
    stamp = correction.header.stamp.sec + correction.header.stamp.nanosec * 1e-9
    assert abs(stamp - spoken) < 1e-3
    world.say("a bit higher")
    graph.spin(0.3)
    assert not world.motions
    world.say("continue")
    graph.wait_for(lambda: not world.stopped, 10)
    assert world.resets == 2
    graph.wait_for(lambda: world.motions, 5)
    # One that the speech node sent itself is, whichever of its messages comes first.
    for first in ("stop", "words"):
        resets = world.resets
        spotted = msg.Transcript(text="stop", confidence=0.9, engine="spotter")
        graph.spin(1.2)
        if first == "stop":
            world.stop.publish(Empty())
            graph.spin(0.2)
            world.transcript.publish(spotted)
        else:
            world.transcript.publish(spotted)
            graph.spin(0.2)
            world.stop.publish(Empty())
        graph.wait_for(lambda: world.stopped, 5)
        graph.spin(0.3)
        world.say("continue")
        graph.wait_for(lambda: not world.stopped, 10)
        assert world.resets > resets
    # A stop that came from elsewhere is not for words to lift.
    graph.spin(0.3)
    world.stop.publish(Empty())
    graph.wait_for(lambda: world.stopped, 5)
    graph.spin(0.3)
    resets = world.resets
    (refused,) = world.say("continue")
    assert not refused.accepted
    graph.spin(0.5)
    assert world.resets == resets
    assert world.stopped
