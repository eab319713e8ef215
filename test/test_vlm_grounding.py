"""From what a model replies to a plan; what is missing is told, never guessed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scenes import robot_at
from vlm_server import Server, says
from vlm_task import BLOCK, PLATE, TASK, frame, pixel, planner, request, structured, thousand

from hierarchy_nodes.controller.lifting import LiftSettings, lift
from hierarchy_nodes.controller.plan_checks import validate_plan
from hierarchy_nodes.errors import ErrorCode, HierarchyError, PlanningError
from hierarchy_nodes.geometry import project
from hierarchy_nodes.planner.base import TaskDone
from hierarchy_nodes.planner.vlm.reply import ReplyError
from hierarchy_nodes.types import Gripper, Interaction, Role

KEEP, OPEN, CLOSE = Gripper.KEEP, Gripper.OPEN, Gripper.CLOSE


def ask(reply, dialect="structured", text=TASK, ask_for=None, **more):
    """The plan that comes of one reply (or several, in order)."""
    replies = [reply] if isinstance(reply, str) else reply
    with Server(*[says(r) for r in replies]) as server:
        made = planner(server, dialect, **more)
        return made.plan(ask_for or request(text))


def tuples(*items):
    """`items` as HAMSTER writes them: points, and words for the gripper."""
    parts = [
        f"<action>{i} Gripper</action>" if isinstance(i, str) else f"({i[0]:.3f}, {i[1]:.3f})"
        for i in items
    ]
    return f"<ans>[{', '.join(parts)}]</ans>"


def roles(plan):
    return {p.role: p for p in plan.prompts}


def near(prompt, point, within=0.03):
    return math.dist((prompt.x, prompt.y), pixel(point)) < within


def events(plan):
    return [p.gripper for p in plan.path]


# -- plans ------------------------------------------------------------------------------------


def test_structured_reply_becomes_a_plan():
    plan = ask(structured())
    assert plan.interaction == Interaction.PLACE
    assert near(roles(plan)[Role.TARGET], BLOCK)
    assert near(roles(plan)[Role.GOAL], PLATE)
    assert events(plan) == [OPEN, CLOSE, KEEP, OPEN]
    assert (plan.stamp, plan.frame_id) == (100.0, frame().frame_id)
    assert plan.valid_until == 160.0
    assert (plan.instruction, plan.source, plan.confidence) == (TASK, "m", 0.9)
    validate_plan(plan, 101.0, frame())


def test_the_controller_can_lift_it():
    ways = lift(ask(structured()), frame(), None, robot_at(100.0), LiftSettings())
    closing = next(w for w in ways if w.gripper == CLOSE)
    opening = [w for w in ways if w.gripper == OPEN][-1]
    assert np.linalg.norm(closing.pose.position[:2] - BLOCK[:2]) < 0.03
    assert np.linalg.norm(opening.pose.position[:2] - PLATE[:2]) < 0.03


def test_a_path_alone_is_enough():
    """HAMSTER: closing is at the target, opening at the goal, and what opens before is at once."""
    tool, way = pixel((0.35, 0.0, 0.40)), pixel((0.45, 0.12, 0.15))
    text = tuples(tool, way, "Open", pixel(BLOCK), "Close", (0.5, 0.4), pixel(PLATE), "Open")
    plan = ask(text, "hamster")
    assert events(plan) == [OPEN, KEEP, CLOSE, KEEP, OPEN]
    assert near(roles(plan)[Role.TARGET], BLOCK)
    assert near(roles(plan)[Role.GOAL], PLATE)
    assert roles(plan)[Role.TARGET].label == "red block"
    assert plan.confidence == 0.7


def test_an_open_end_of_a_path_is_the_release():
    plan = ask(tuples((0.5, 0.3), pixel(BLOCK), "Close", pixel(PLATE)), "hamster")
    assert events(plan)[-1] == OPEN
    assert near(roles(plan)[Role.GOAL], PLATE)


def test_a_truncated_path_is_not_followed_to_the_wrong_place():
    text = tuples((0.5, 0.3), pixel(BLOCK), "Close", (0.5, 0.4))[: -len("]</ans>")] + ", (0.6"
    with pytest.raises(ReplyError, match="before the thing is put down"):
        ask(text, "hamster")


def test_picking_up_needs_no_release():
    plan = ask(
        tuples((0.5, 0.3), pixel(BLOCK), "Close", (0.5, 0.3)), "hamster", "pick up the red block"
    )
    assert events(plan) == [OPEN, KEEP, CLOSE, KEEP]
    assert set(roles(plan)) == {Role.TARGET}


def test_peek_takes_hold_where_path_and_mask_meet():
    text = (
        f"TRAJECTORY: {tuples((0.5, 0.2), pixel(BLOCK), (0.5, 0.3), pixel(PLATE))} "
        f"MASK: {tuples(pixel(BLOCK), pixel(PLATE))}"
    )
    plan = ask(text, "peek")
    assert [e for e in events(plan) if e] == [OPEN, CLOSE, OPEN]
    assert near(roles(plan)[Role.TARGET], BLOCK)
    with pytest.raises(ReplyError, match="where to take hold cannot be told"):
        ask(f"TRAJECTORY: {tuples((0.5, 0.2), (0.5, 0.3), pixel(PLATE))}", "peek")


def test_gemini_points_become_a_plan():
    items = [
        (BLOCK, "target: red block"),
        (PLATE, "goal: blue plate"),
        ((0.35, 0.0, 0.4), "0"),
        (BLOCK, "1 close gripper"),
        (PLATE, "2 open gripper"),
    ]
    text = json.dumps([{"point": thousand(p, y_first=True), "label": label} for p, label in items])
    plan = ask(f"```json\n{text}\n```", "gemini")
    assert near(roles(plan)[Role.TARGET], BLOCK)
    assert near(roles(plan)[Role.GOAL], PLATE)
    assert events(plan) == [OPEN, CLOSE, OPEN]


def test_molmo_points_become_a_path():
    def point(at, alt):
        x, y = (100 * v for v in pixel(at))
        return f'<point x="{x:.1f}" y="{y:.1f}" alt="{alt}">{alt}</point>'

    replies = [says(point(BLOCK, "red block")), says(point(PLATE, "blue plate"))]
    with Server(*replies) as server:
        plan = planner(server, "molmo").plan(request())
        prompts = [b["messages"][0]["content"][1]["text"].strip() for b in server.asked]
    assert prompts == ["Point to the red block", "Point to the blue plate"]
    assert events(plan) == [OPEN, CLOSE, OPEN]
    assert near(plan.path[1], BLOCK)
    assert near(plan.path[2], PLATE)


def test_waypoints_keep_their_depths():
    camera = frame()
    items = []
    for point, gripper in (((0.45, 0.12, 0.15), "none"), (BLOCK, "close"), (PLATE, "open")):
        _, depth = project(np.array(point), camera.intrinsics, camera.camera_pose)
        items.append({"point_3d": [*thousand(point), float(depth[0])], "gripper": gripper})
    plan = ask(json.dumps(items), "waypoints")
    assert all(math.isfinite(p.depth) for p in plan.path)
    ways = lift(plan, camera, None, robot_at(100.0), LiftSettings())
    grasp = next(w for w in ways if w.gripper == CLOSE)
    assert np.linalg.norm(grasp.pose.position - BLOCK) < 0.01
    assert np.linalg.norm(ways[-1].pose.position - (0.35, 0.0, 0.40)) < 0.15


def test_a_push_finds_what_it_touches():
    start, end = (0.45, 0.20, 0.02), (0.45, 0.02, 0.02)
    text = tuples(pixel((0.35, 0, 0.4)), pixel(start), "Close", pixel(end))
    plan = ask(text, "hamster", "push the red block to the right")
    assert plan.interaction == Interaction.PUSH
    assert events(plan) == [CLOSE, KEEP, KEEP]
    assert near(roles(plan)[Role.TARGET], BLOCK, 0.08)
    nothing = tuples((0.3, 0.9), (0.6, 0.9))
    with pytest.raises(ReplyError, match="touches nothing"):
        ask(nothing, "hamster", "push the red block to the right")


def test_pressing_needs_only_a_point():
    plan = ask(tuples((0.5, 0.3), pixel(BLOCK)), "hamster", "press the button")
    assert (len(plan.path), plan.interaction) == (2, Interaction.PRESS)
    assert near(roles(plan)[Role.TARGET], BLOCK)


def test_what_is_held_is_put_where_the_goal_is():
    holding = request(
        holding=True, robot=robot_at(100.0, (0.45, 0.05, 0.2), gripper=0.5), attempt=2
    )
    plan = ask(tuples((0.5, 0.3), pixel(PLATE), "Open"), "hamster", ask_for=holding)
    assert events(plan)[0] == KEEP
    assert events(plan)[-1] == OPEN
    assert near(roles(plan)[Role.TARGET], (0.45, 0.05, 0.2))


def test_the_instruction_may_be_beyond_the_grammar():
    text = "would you kindly tidy the crimson thingy away"
    assert ask(structured(), text=text).interaction == Interaction.PLACE
    plan = ask(tuples((0.5, 0.3), pixel(BLOCK), "Close", pixel(PLATE), "Open"), "hamster", text)
    assert plan.interaction == Interaction.PLACE
    with pytest.raises(ReplyError, match="does not tell what to do"):
        ask(tuples((0.5, 0.3), pixel(BLOCK)), "hamster", text)


# -- what is missing is told, never guessed ---------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            {"status": "not_found", "question": "I see no red block, only a cup."},
            ErrorCode.OBJECT_NOT_FOUND,
            "only a cup",
        ),
        ({"status": "not_found"}, ErrorCode.OBJECT_NOT_FOUND, "put the red block"),
        (
            {"status": "ambiguous", "question": "The left one or the right one?"},
            ErrorCode.OBJECT_AMBIGUOUS,
            "left one",
        ),
        ({"confidence": 0.1}, ErrorCode.OBJECT_AMBIGUOUS, "Do you mean the red block"),
    ],
)
def test_the_person_is_asked(changes, code, words):
    with pytest.raises(PlanningError, match=words) as caught:
        ask(structured(**changes))
    assert caught.value.code == code


def test_nothing_left_to_do():
    with pytest.raises(TaskDone):
        ask(structured(status="done"))


def test_out_of_reach():
    with pytest.raises(PlanningError, match=r"red block is out of reach: it is 0\.4\d m") as caught:
        ask(structured(), reach=0.4)
    assert caught.value.code == ErrorCode.OUT_OF_REACH


def test_no_grasp_no_plan():
    with pytest.raises(ReplyError, match="never closes"):
        ask(tuples((0.5, 0.3), (0.6, 0.6), "Open"), "hamster")


@pytest.mark.parametrize("dialect", ["structured", "hamster", "peek", "gemini", "molmo"])
def test_babble_is_a_failure_of_the_backend(dialect):
    """Such an error makes the executive try again with a new image."""
    with pytest.raises(HierarchyError) as caught:
        ask("Lorem ipsum dolor sit amet 0.5 0.5.", dialect)
    assert caught.value.code == ErrorCode.BACKEND_FAILED
    assert not isinstance(caught.value, PlanningError)
