"""Planner and segmenter nodes with real models behind them, as processes."""

from __future__ import annotations

import importlib.util
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces import msg
from scenes import plan_for, robot_at
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from hardware.cameras.mock import front_camera
from hierarchy_nodes import conversions, qos
from hierarchy_nodes.bench.planner_server import PlanServer
from hierarchy_nodes.geometry import project, top_down
from hierarchy_nodes.subscribers import FrameSubscriber
from hierarchy_nodes.types import PathPoint, Role

pytestmark = pytest.mark.timeout(300)  # Imports alone take most of a minute on a busy machine.
TASK = "put the green block on the blue plate"
# Where the mock camera's things are.
BLOCK, PLATE = (0.58, 0.02, 0.05), (0.45, 0.14, 0.012)


def missing(*names):
    return any(importlib.util.find_spec(name) is None for name in names)


def thousandths(point):
    pixel = project(np.array(point), *front_camera())[0][0]
    return [round(1000 * float(v)) for v in pixel]


def answer(**changes):
    return json.dumps(
        {
            "status": "plan",
            "question": "",
            "subtask": TASK,
            "more": False,
            "interaction": "place",
            "prompts": [
                {"role": "target", "label": "green block", "point": thousandths(BLOCK)},
                {"role": "goal", "label": "blue plate", "point": thousandths(PLATE)},
            ],
            "motion": "move arm forward",
            "path": [
                {"point": thousandths((0.38, 0.0, 0.3)), "gripper": "keep"},
                {"point": thousandths(BLOCK), "gripper": "close"},
                {"point": thousandths(PLATE), "gripper": "open"},
            ],
            "confidence": 0.9,
            **changes,
        }
    )


@pytest.fixture
def asked(graph):
    """Camera and arm; starts a planner and says an instruction until it is answered."""
    plans = graph.listen("plan", msg.Plan, qos.LATCHED)
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    door = graph.node.create_publisher(String, "instruction", qos.EVENT)
    graph.start("camera", "hierarchy_nodes.camera.node", driver="mock")
    graph.start("arm", "hierarchy_nodes.arm.node", driver="mock")

    def start(**parameters):
        patient = {"start_timeout": 60.0, "answer_timeout": 60.0}
        graph.start("planner", "hierarchy_nodes.planner.node", **patient, **parameters)
        names = {"camera", "arm", "planner"}
        graph.wait_for(lambda: names <= {s.node for _, s in states}, 120)
        graph.wait_for(lambda: door.get_subscription_count() > 0, 20)

    def ask(timeout=60.0):
        """The plan with a path, or what the planner says instead."""
        graph.spin(1.0)
        before, told = len(plans), len(states)
        door.publish(String(data=TASK))

        def answered():
            made = [p for _, p in plans[before:] if p.path]
            mine = [s for _, s in states[told:] if s.node == "planner"]
            begun = next((i for i, s in enumerate(mine) if s.state == "busy"), len(mine))
            # The task before this one may still run, and fails because this one came.
            preempted = f'A new task came: "{TASK}".'
            says = [s.message for s in mine[begun:] if s.state == "failed"]
            says = [text for text in says if text != preempted]
            return made[-1] if made else says[-1] if says else None

        return graph.wait_for(answered, timeout)

    return start, ask


def test_a_chat_server_and_the_planner_that_takes_over(asked):
    start, ask = asked
    with PlanServer() as server:
        server.answer = answer()
        start(
            backend="openai",
            fallback="classical",
            openai__url=server.url,
            openai__model="scripted",
            openai__timeout=5.0,
            openai__retries=0,
        )
        plan = ask()
        assert plan.source == "scripted"
        target = plan.prompts[0]
        assert (target.role, target.label) == ("target", "green block")
        assert np.allclose([target.x, target.y], np.array(thousandths(BLOCK)) / 1000, atol=0.01)
        server.answer = answer(status="ambiguous", question="Which of the two plates?")
        assert "Which of the two plates?" in ask()
        server.end()
        assert ask().source == "classical"


@pytest.mark.skipif(missing("sam2", "torch"), reason="sam2 is not installed")
def test_sam2_follows_a_plans_prompts(graph, tmp_path):
    from tiny_sam2 import make

    config, checkpoint = make(tmp_path)
    frames, segments = [], graph.listen("segments", msg.Segments, qos.SENSOR)
    states = graph.listen("status", msg.StackStatus, qos.STATUS)
    FrameSubscriber(graph.node, frames.append)
    joints = graph.node.create_publisher(JointState, "joint_states", qos.SENSOR)
    tool = graph.node.create_publisher(PoseStamped, "end_effector_pose", qos.SENSOR)
    plans = graph.node.create_publisher(msg.Plan, "plan", qos.LATCHED)

    def beat():
        now = time.time()
        tool.publish(conversions.pose_stamped(now, "base_link", top_down([0.35, 0.0, 0.4])))
        names = [f"joint_{i}" for i in range(1, 8)]
        joints.publish(conversions.joint_state_to_msg(robot_at(now), names, "gripper"))

    graph.node.create_timer(0.05, beat)
    graph.start("camera", "hierarchy_nodes.camera.node", driver="mock", mock__rate_hz=10.0)
    graph.start(
        "segmenter",
        "hierarchy_nodes.segmenter.node",
        backend="sam2",
        sam2__checkpoint=str(checkpoint),
        sam2__model_config=str(config),
        sam2__image_size=64,
        sam2__device="cpu",
    )
    graph.wait_for(lambda: frames and any(s.node == "segmenter" for _, s in states), 120)
    graph.spin(0.5)
    prompts = [(Role.TARGET, "green block", BLOCK), (Role.GOAL, "blue plate", PLATE)]
    plan = replace(
        plan_for(frames[-1], *prompts),
        plan_id="p",
        path=(PathPoint(0.5, 0.5), PathPoint(0.6, 0.6)),
        valid_until=time.time() + 60,
    )
    plans.publish(conversions.plan_to_msg(plan))
    # Its weights are random, so what it finds is not looked at.
    graph.wait_for(lambda: len(segments) >= 3, 60)
    found = conversions.segments_from_msg(segments[-1][1])
    assert found.plan_id == "p"
    assert [(s.role, s.label) for s in found.segments] == [(r, n) for r, n, _ in prompts]
    assert found.mask.shape == frames[-1].depth.shape
