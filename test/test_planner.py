"""The classical planner on pictures of the cell: naming, finding, routes, checks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hardware.cell.cell import Cell
from hardware.cell.scene import BASIC_COLORS, ObjectSpec, SceneSpec
from hardware.cell.tasks import FAMILIES, sample
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.errors import ErrorCode, PlanningError
from hierarchy_nodes.geometry import project, top_down
from hierarchy_nodes.planner import finding
from hierarchy_nodes.planner.base import PLANNERS, PlanRequest, TaskDone
from hierarchy_nodes.planner.classical import ClassicalPlanner
from hierarchy_nodes.planner.language import describe, parse
from hierarchy_nodes.planner.motions import direction_words, path_points
from hierarchy_nodes.planner.naming import color_names, see
from hierarchy_nodes.planner.routes import RouteOptions
from hierarchy_nodes.types import Correction, Gripper, Observation, Role

make = ObjectSpec.make
TABLE = (
    make("red", "block", (0.42, 0.15), 0.4),
    make("red", "block", (0.45, -0.22), name="red_block_2"),
    make("green", "cylinder", (0.38, -0.05)),
    make("blue", "plate", (0.55, -0.05)),
    make("yellow", "bowl", (0.58, 0.20)),
)


def looked_at(scene):
    """Frame and robot state of a scene, the arm at home."""
    cell = Cell(scene)
    try:
        frame, state = cell.capture(), cell.arm_state()
    finally:
        cell.close()
    return frame, Kinematics().robot_state(state)


@cache
def table():
    return looked_at(SceneSpec(TABLE))


def planner():
    return ClassicalPlanner(RouteOptions())


def request(text, picture=None, **more):
    frame, robot = picture or table()
    return PlanRequest(text, frame, robot, **more)


def ways(plan, frame):
    """(position, gripper event) of each path point."""
    return [(p, q.gripper) for p, q in zip(points_of(plan, frame), plan.path, strict=True)]


def points_of(plan, frame):
    return np.array(path_points(plan, frame.intrinsics))


# -- naming -----------------------------------------------------------------------------------


def test_names_on_scenes_of_all_families():
    """Every thing of the standard families is seen, and is called what it is."""
    right = total = 0
    wrong = []
    for seed in range(2 * len(FAMILIES)):
        scene, _ = sample(FAMILIES[seed % len(FAMILIES)], 300 + seed)
        things = see(*looked_at(scene))
        for spec in scene.objects:
            total += 1
            near = min(things, key=lambda t: np.linalg.norm(t.position[:2] - _visible(spec)))
            if near.label == f"{spec.color} {spec.shape}":
                right += 1
            else:
                wrong.append((seed, spec.name, near.label))
    print(f"named right: {right} of {total}; wrong: {wrong}")
    assert right / total > 0.95, wrong


def _visible(spec):
    """Where a thing is seen: of a drawer, its front."""
    out = 0.10 + 0.12 * spec.opening if spec.shape == "drawer" else 0.0
    return np.array(spec.position) + out * np.array([np.cos(spec.yaw), np.sin(spec.yaw)])


@pytest.mark.parametrize("light", [0.65, 1.0, 1.3])
def test_colors_in_any_light(light):
    things = [
        make(color, "block", (0.36 + 0.12 * (k // 3), -0.15 + 0.15 * (k % 3)))
        for k, color in enumerate(BASIC_COLORS)
    ]
    seen = {t.color for t in see(*looked_at(SceneSpec(tuple(things), light=light)))}
    assert seen == set(BASIC_COLORS)


def test_color_names_are_total():
    rng = np.random.default_rng(1)
    for rgb in [*rng.uniform(0, 255, (300, 3)), np.zeros(3), np.full(3, 255.0)]:
        assert color_names(rgb)


# -- finding ----------------------------------------------------------------------------------


def find(phrase, **more):
    return finding.find(describe(phrase), see(*table()), **more)


@pytest.mark.parametrize(
    ("phrase", "where"),
    [
        ("the green can", (0.38, -0.05)),
        ("the plate", (0.55, -0.05)),
        ("the left red block", (0.42, 0.15)),
        ("the red block on the right", (0.45, -0.22)),
        ("the red block near the plate", (0.45, -0.22)),
        ("the nearest block", (0.42, 0.15)),
        ("the farthest block", (0.45, -0.22)),
    ],
)
def test_finds_what_is_meant(phrase, where):
    assert np.linalg.norm(find(phrase).position[:2] - where) < 0.02


def test_the_other_one():
    other = find("the other red block", avoid=np.array([0.42, 0.15, 0.02]))
    assert other.position[1] < 0


def test_ambiguous_asks_which():
    with pytest.raises(PlanningError) as caught:
        find("the red block")
    assert caught.value.code == ErrorCode.OBJECT_AMBIGUOUS
    assert str(caught.value) == (
        "I see two red blocks: one on the left, one on the right. Which one?"
    )


@pytest.mark.parametrize(
    "text", ["put the purple giraffe on the plate", "put the green can on the purple giraffe"]
)
def test_unknown_thing_is_answered_with_what_is_in_view(text):
    with pytest.raises(PlanningError) as caught:
        planner().plan(request(text))
    assert caught.value.code == ErrorCode.OBJECT_NOT_FOUND
    assert "I cannot see a purple giraffe. In view: " in str(caught.value)
    for name in ("2 red blocks", "green cylinder", "blue plate", "yellow bowl"):
        assert name in str(caught.value)


def test_empty_table():
    with pytest.raises(PlanningError) as caught:
        planner().plan(request("put the red block on the plate", looked_at(SceneSpec())))
    assert caught.value.code == ErrorCode.SCENE_EMPTY


# -- plans ------------------------------------------------------------------------------------


def test_place_path():
    frame, _ = table()
    plan = planner().plan(request("put the green can on the blue plate"))
    points = points_of(plan, frame)
    grippers = [p.gripper for p in plan.path]
    assert grippers[0] == Gripper.OPEN
    assert grippers.count(Gripper.CLOSE) == 1
    grasp, release = grippers.index(Gripper.CLOSE), len(grippers) - 1 - grippers[::-1].index(1)
    assert np.linalg.norm(points[grasp][:2] - (0.38, -0.05)) < 0.01
    assert 0.005 < points[grasp][2] < 0.04
    assert np.linalg.norm(points[release][:2] - (0.55, -0.05)) < 0.01
    # As high over the plate as it was over the table.
    assert points[release][2] - points[grasp][2] == pytest.approx(0.012 + 0.004, abs=0.004)
    assert points[grasp - 1][2] > points[grasp][2] + 0.08
    assert points[grasp + 1][2] > points[grasp][2] + 0.10
    assert points[release - 1][2] > 0.05 + 0.08
    for point in plan.path:
        assert 0 <= point.x <= 1
        assert 0 <= point.y <= 1
        assert point.depth > 0
    assert plan.stamp == frame.stamp
    assert plan.frame_id == frame.frame_id
    assert plan.valid_until == pytest.approx(frame.stamp + 60.0)
    assert [(p.role, p.label) for p in plan.prompts][:2] == [
        ("target", "green cylinder"),
        ("goal", "blue plate"),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_plan_within_reach(family):
    for seed in range(400, 402):
        scene, task = sample(family, seed)
        picture = looked_at(scene)
        backend = planner()
        (step,) = backend.subtasks(task.instruction)
        plan = backend.plan(request(step, picture))
        points = points_of(plan, picture[0])
        assert (points[1:, 2] > 0.004).all()
        assert (np.linalg.norm(points[1:, :2], axis=1) < 0.81).all()
        target = plan.prompts[0]
        assert target.role == "target"
        assert scene.object(task.target).color in target.label


def test_push_goes_through_the_thing():
    frame, _ = table()
    points = points_of(planner().plan(request("push the green can to the left")), frame)
    start, end = points[2], points[3]
    assert start[1] < -0.05 - 0.03
    assert end[1] > -0.05
    assert abs(start[0] - 0.38) < 0.01
    assert abs(end[0] - 0.38) < 0.01
    assert max(start[2], end[2]) < 0.04


def test_too_wide_for_the_gripper():
    with pytest.raises(PlanningError, match="too wide") as caught:
        planner().plan(request("put the plate in the bowl"))
    assert caught.value.code == ErrorCode.PLAN_REJECTED


def test_out_of_reach_is_told_before_anything_moves():
    with pytest.raises(PlanningError) as caught:
        planner().plan(request("push the green can 70 cm forward"))
    assert caught.value.code == ErrorCode.OUT_OF_REACH


def test_what_is_done_already():
    scene = SceneSpec((make("red", "zone", (0.45, 0.0)), make("blue", "block", (0.45, 0.0))))
    with pytest.raises(TaskDone):
        planner().plan(request("put the blue block on the red zone", looked_at(scene)))


def test_every_red_thing_one_after_the_other():
    backend = planner()
    (step,) = backend.subtasks("put all the red blocks in the bowl")
    assert backend.repeats(step)
    plan = backend.plan(request(step))
    assert plan.prompts[0].label == "red block"
    in_bowl = (replace(TABLE[0], position=(0.58, 0.20)), *TABLE[1:])
    frame, robot = looked_at(SceneSpec(in_bowl))
    again = backend.plan(request(step, (frame, robot), previous=plan))
    grasp = next(p for p, gripper in ways(again, frame) if gripper == Gripper.CLOSE)
    assert np.linalg.norm(grasp[:2] - (0.45, -0.22)) < 0.02


def test_retargeting():
    said = Correction(
        0.0, "c", "no, the green one", "retarget", role="target", phrase="the green one"
    )
    plan = planner().plan(request("put the left red block in the bowl", corrections=(said,)))
    assert plan.prompts[0].label == "green cylinder"
    goal = Correction(0.0, "c", "on the plate instead", "retarget", role="goal", phrase="the plate")
    plan = planner().plan(request("put the left red block in the bowl", corrections=(said, goal)))
    assert [p.label for p in plan.prompts[:2]] == ["green cylinder", "blue plate"]


def test_going_on_with_what_is_held():
    backend = planner()
    first = backend.plan(request("put the green can on the plate"))
    frame, robot = table()
    robot = replace(robot, gripper=0.5)
    plan = backend.plan(
        request("put the green can in the bowl", (frame, robot), previous=first, holding=True)
    )
    assert all(p.gripper != Gripper.CLOSE for p in plan.path)
    assert plan.path[0].gripper == Gripper.KEEP
    release = next(p for p, gripper in ways(plan, frame) if gripper == Gripper.OPEN)
    assert np.linalg.norm(release[:2] - (0.58, 0.20)) < 0.02
    # Something else is wanted: first this goes back to where it came from.
    other = backend.plan(
        request("put the left red block in the bowl", (frame, robot), previous=first, holding=True)
    )
    events = [way for way in ways(other, frame) if way[1] != Gripper.KEEP]
    assert [g for _, g in events] == [Gripper.OPEN]
    assert np.linalg.norm(events[0][0][:2] - (0.38, -0.05)) < 0.02
    assert other.subtask == "put the green cylinder back"
    assert backend.prepares(other)
    assert not backend.prepares(plan)


def test_what_is_held_is_where_the_hand_is():
    backend = planner()
    first = backend.plan(request("put the green can on the plate"))
    frame, robot = table()
    for tool, roles in [
        ((0.45, 0.05, 0.20), [Role.TARGET, Role.GOAL]),
        # Out of the camera's view.
        ((0.30, 0.00, 0.55), [Role.GOAL]),
    ]:
        held = replace(robot, gripper=0.5, tool=top_down(tool))
        seen = request("put the green can in the bowl", (frame, held), previous=first, holding=True)
        prompts = backend.plan(seen).prompts
        assert [p.role for p in prompts if p.role != Role.AVOID] == roles
        if Role.TARGET in roles:
            hand = project(np.array(tool), frame.intrinsics, frame.camera_pose)[0][0]
            assert (prompts[0].x, prompts[0].y) == pytest.approx(tuple(hand))


# -- checks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "position", "done"),
    [
        ("put the green can on the plate", (0.55, -0.05), True),
        ("put the green can on the plate", (0.38, -0.05), False),
        ("put the green can in the bowl", (0.58, 0.20), True),
        ("put the green can in the bowl", (0.50, 0.05), False),
        ("push the green can to the left", (0.38, 0.06), True),
        ("push the green can to the left", (0.38, -0.03), False),
    ],
)
def test_check_of_the_result(text, position, done):
    backend = planner()
    plan = backend.plan(request(text))
    moved = replace(TABLE[2], position=position)
    after = looked_at(SceneSpec((*TABLE[:2], moved, *TABLE[3:])))
    assert backend.verify(plan, *after) is done


def test_check_of_a_drawer():
    closed = make("red", "drawer", (0.48, 0.24), -np.pi / 2)
    opened = replace(closed, opening=1.0)
    backend = planner()
    before, after = (looked_at(SceneSpec((thing,))) for thing in (closed, opened))
    plan = backend.plan(request("open the drawer", before))
    assert backend.verify(plan, *before) is False
    assert backend.verify(plan, *after) is True
    plan = backend.plan(request("close the drawer", after))
    assert backend.verify(plan, *after) is False
    assert backend.verify(plan, *before) is True
    with pytest.raises(TaskDone):
        backend.plan(request("open the drawer", after))


def test_check_of_a_plan_that_is_not_known():
    frame, robot = table()
    plan = planner().plan(request("press the green can"))
    assert planner().verify(plan, frame, robot) is None


# -- language motions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ((0.1, 0, 0), "move arm forward"),
        ((-0.1, 0, 0), "move arm backward"),
        ((0, 0.1, 0), "move arm left"),
        ((0.05, -0.1, 0), "move arm right and forward"),
        ((0.1, 0.01, -0.09), "move arm forward and down"),
        ((0, 0, 0.2), "move arm up"),
        ((0, 0, 0), "hold arm"),
    ],
)
def test_direction_words(way, words):
    assert direction_words(np.array(way)) == words


def test_motions_along_a_path():
    backend = planner()
    frame, robot = table()
    plan = backend.plan(request("put the green can on the blue plate"))
    said = []
    route = points_of(plan, frame)
    gripper = 1.0
    for start, end, point in zip(route[:-1], route[1:], plan.path[1:], strict=True):
        for share in np.linspace(0, 1, 21):
            at = replace(robot.tool, position=start + share * (end - start))
            state = replace(robot, tool=at, gripper=gripper)
            motion = backend.motion(Observation(frame.stamp, state, plan, frame))
            if motion is not None and (not said or said[-1] != motion.text):
                said.append(motion.text)
        gripper = {Gripper.CLOSE: 0.5, Gripper.OPEN: 1.0}.get(point.gripper, gripper)
    assert "close gripper" in said
    assert said.index("move arm down") < said.index("close gripper")
    assert "move arm up" in said[said.index("close gripper") :]


def test_registry_knows_it():
    assert PLANNERS.get("classical") is ClassicalPlanner


def test_instructions_of_the_cell_are_understood():
    """Every way that the cell's tasks are put into words has the meaning that they have."""
    kinds = {"open_drawer": "open", "close_drawer": "close", "stack": "place"}
    for family in FAMILIES:
        for seed in range(20):
            for axis in ("basic", "language", "spatial"):
                scene, task = sample(family, 500 + seed, axis)
                (step,) = parse(task.instruction)
                target = scene.object(task.target)
                assert step.interaction == kinds.get(family, family), task.instruction
                assert step.target.shape == target.shape, task.instruction
                assert (step.goal is not None) == bool(task.goal), task.instruction
