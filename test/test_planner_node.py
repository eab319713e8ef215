"""The planner node among real processes: a mock arm, a mock camera, and what is left out."""

import pytest
from hierarchy_interfaces import msg
from hierarchy_interfaces.action import ExecuteTask
from std_msgs.msg import String

from hierarchy_nodes import conversions, qos
from hierarchy_nodes.errors import ErrorCode
from hierarchy_nodes.types import Correction

PLANNER = "hierarchy_nodes.planner.node"


@pytest.fixture
def stack(graph):
    """Planner, camera and arm; no segmenter, no controller."""
    plans = graph.listen("plan", msg.Plan, qos.LATCHED)
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    graph.start("camera", "hierarchy_nodes.camera.node", driver="mock")
    graph.start("arm", "hierarchy_nodes.arm.node", driver="mock")
    # Patient, because a loaded machine is slow to do what the test asks for in between.
    graph.start("planner", PLANNER, backend="classical", start_timeout=15.0, answer_timeout=15.0)
    graph.wait_for(
        lambda: {"camera", "arm", "planner"} <= {s.node for _, s in states} and plans, 60
    )
    graph.plans, graph.states = plans, states
    return graph


class Client:
    """Sends goals and keeps what comes back."""

    def __init__(self, graph):
        from rclpy.action import ActionClient

        self.graph = graph
        self.action = ActionClient(graph.node, ExecuteTask, "execute_task")
        graph.wait_for(self.action.server_is_ready, 20)
        self.feedback = []

    def send(self, text, **limits):
        goal = ExecuteTask.Goal(instruction=text, **limits)
        future = self.action.send_goal_async(
            goal, feedback_callback=lambda f: self.feedback.append(f.feedback)
        )
        self.graph.wait_for(future.done, 20)
        handle = future.result()
        assert handle.accepted
        return handle, handle.get_result_async()

    def result(self, future, timeout=30):
        self.graph.wait_for(future.done, timeout)
        return future.result().status, future.result().result

    def do(self, text, **limits):
        return self.result(self.send(text, **limits)[1])


SUCCEEDED, CANCELED, ABORTED = 4, 5, 6


def test_answers_and_plans(stack):
    client = Client(stack)
    # A planner that comes up leaves nobody running on an old plan.
    assert list(stack.plans[0][1].path) == []

    # Whoever corrects where nothing is done is told so.
    said = stack.node.create_publisher(msg.Correction, "correction", qos.EVENT)
    stack.wait_for(lambda: said.get_subscription_count() > 0, 10)
    said.publish(
        conversions.correction_to_msg(
            Correction(1.0, "c", "no, the green one", "retarget", role="target", phrase="green one")
        )
    )
    why = '"no, the green one" belongs to no task: say what is to be done'
    stack.wait_for(lambda: ("idle", why) in {(s.state, s.message) for _, s in stack.states}, 10)

    status, result = client.do("put the purple giraffe on the blue plate")
    assert status == ABORTED
    assert not result.success
    assert result.error_code == ErrorCode.OBJECT_NOT_FOUND
    assert "I cannot see a purple giraffe. In view: " in result.error_message
    assert "red block" in result.error_message

    status, result = client.do("make me a sandwich")
    assert (status, result.error_code) == (ABORTED, ErrorCode.INSTRUCTION_NOT_UNDERSTOOD)
    assert "Try for example" in result.error_message

    status, result = client.do("")
    assert (status, result.error_code) == (ABORTED, ErrorCode.INSTRUCTION_EMPTY)

    # A real plan, which nobody follows here.
    before = len(stack.plans)
    _, future = client.send("put the red block on the blue plate", time_limit=60.0)
    plan = stack.wait_for(lambda: next((p for _, p in stack.plans[before:] if p.path), None), 20)
    assert plan.interaction == "place"
    assert plan.subtask == "put the red block on the blue plate"
    assert plan.header.frame_id == "camera_color_optical_frame"
    assert [p.role for p in plan.prompts][:2] == ["target", "goal"]
    stack.wait_for(lambda: any(f.phase == "executing" for f in client.feedback), 10)

    # A new goal preempts it, with the arm told to hold first.
    before = len(stack.plans)
    other, other_future = client.send("put the red block on the blue plate", time_limit=60.0)
    status, result = client.result(future)
    assert (status, result.error_code) == (ABORTED, ErrorCode.PREEMPTED)
    # Results and plans come by different ways, in either order.
    stack.wait_for(lambda: len(stack.plans) > before, 10)
    assert list(stack.plans[before][1].path) == []

    cancel = other.cancel_goal_async()
    stack.wait_for(cancel.done, 10)
    status, result = client.result(other_future)
    assert (status, result.error_code) == (CANCELED, ErrorCode.CANCELLED)
    stack.wait_for(lambda: not stack.plans[-1][1].path, 10)


def test_nobody_to_follow_the_plan_and_the_simple_door(stack):
    client = Client(stack)
    status, result = client.do("put the red block on the blue plate")
    assert (status, result.error_code) in [
        (ABORTED, ErrorCode.NODE_LOST),
        (ABORTED, ErrorCode.CONTROLLER_LOST),
    ]

    door = stack.node.create_publisher(String, "instruction", qos.EVENT)
    stack.wait_for(lambda: door.get_subscription_count() > 0, 10)
    door.publish(String(data="put the purple giraffe on the plate"))
    told = stack.wait_for(
        lambda: next(
            (s for _, s in stack.states if s.node == "planner" and "giraffe" in s.message), None
        ),
        20,
    )
    stack.wait_for(
        lambda: any(s.node == "planner" and "In view" in s.message for _, s in stack.states), 20
    )
    assert told


def test_unknown_backend_ends_with_the_valid_names(graph, capfd):
    process = graph.start("planner", PLANNER, backend="clasical")
    assert process.wait(30) == 2
    assert "Did you mean 'classical'" in capfd.readouterr().err
