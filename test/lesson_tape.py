"""Small recordings in which a person corrects a planner, for the tests of learning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hierarchy_interfaces.msg import Plan as PlanMessage
from hierarchy_interfaces.msg import StackStatus
from rclpy.serialization import serialize_message
from scenes import FRAME_ID, RED, YELLOW, cube, picture, plate, robot_at
from sensor_msgs.msg import JointState

from hierarchy_nodes import conversions
from hierarchy_nodes.correction.config import CorrectionConfig
from hierarchy_nodes.correction.session import Session
from hierarchy_nodes.geometry import project
from hierarchy_nodes.recorder.recording import Limits, Recording
from hierarchy_nodes.recorder.writer import Topic
from hierarchy_nodes.types import (
    Gripper,
    Interaction,
    PathPoint,
    Plan,
    Prompt,
    Role,
    Segment,
    Segments,
)

START = 1_700_000_000.0
TOOL = (0.35, 0.0, 0.40)
# What stands on the table, and its number in the mask.
THINGS = {"red": (0.45, 0.12, 0.04), "yellow": (0.45, -0.05, 0.04), "plate": (0.58, 0.10, 0.012)}
NUMBERS = {"red": 1, "yellow": 2, "plate": 3}
GIRAFFE = "put the giraffe on the blue plate"


def scene(moved: float = 0.0):
    """The frame, and which thing each pixel shows; the yellow block may be elsewhere."""
    x, y, _ = THINGS["yellow"]
    red, flat = THINGS["red"], THINGS["plate"]
    boxes = [cube(*red[:2], RED), cube(x + moved, y, YELLOW), plate(*flat[:2])]
    return picture(boxes, stamp=START)


def pixel(point):
    frame, _ = scene()
    found, depth = project(np.array(point, float), frame.intrinsics, frame.camera_pose)
    return float(found[0, 0]), float(found[0, 1]), float(depth[0])


def put(plan_id, at, target, instruction=GIRAFFE, goal="plate", depth=True):
    """A plan that puts one thing on another, made from the image taken at `at`."""
    (x, y, _), (u, v, _) = THINGS[target], THINGS[goal]
    ways = [
        (TOOL, Gripper.OPEN), ((x, y, 0.2), Gripper.KEEP), ((x, y, 0.02), Gripper.CLOSE),
        ((x, y, 0.2), Gripper.KEEP), ((u, v, 0.2), Gripper.KEEP), ((u, v, 0.05), Gripper.OPEN),
        ((u, v, 0.25), Gripper.KEEP), (TOOL, Gripper.KEEP),
    ]  # fmt: skip
    path = [PathPoint(*pixel(point), event) for point, event in ways]
    if not depth:
        path = [p if p.gripper == Gripper.KEEP else replace(p, depth=np.nan) for p in path]
    frame, _ = scene()
    prompts = (
        Prompt(Role.TARGET, f"{target} thing", *pixel(THINGS[target])[:2]),
        Prompt(Role.GOAL, "blue plate", *pixel(THINGS[goal])[:2]),
    )
    return Plan(
        plan_id, START + at, FRAME_ID, frame.camera_pose, instruction, Interaction.PLACE,
        tuple(path), prompts, START + at + 60, "test", subtask=instruction,
    )  # fmt: skip


class Tape:
    """Writes what the nodes would publish; times are seconds after the start."""

    def __init__(self, folder):
        self.recording = Recording(folder, Limits(flush_period=0.05, min_free=0))
        self._session = Session(CorrectionConfig())
        self._told = 0

    def message(self, name, message, at):
        package, kind = type(message).__module__.split(".")[0], type(message).__name__
        ns = round((START + at) * 1e9)
        topic = Topic(f"/arm1/{name}", f"{package}/msg/{kind}")
        self.recording.add(topic, serialize_message(message), ns, ns)

    def arm(self, at, position=TOOL, gripper=1.0):
        robot = robot_at(START + at, position, gripper)
        pose = conversions.pose_stamped(robot.stamp, "base", robot.tool)
        self.message("end_effector_pose", pose, at)
        joints = [*map(float, robot.joint_positions), gripper]
        self.message("joint_states", JointState(position=joints), at)

    def image(self, at, moved=0.0):
        frame, which = scene(moved)
        info = conversions.camera_info_to_msg(frame.intrinsics, START + at, FRAME_ID)
        self.message("camera/color/camera_info", info, at + 0.01)
        color = conversions.image_to_msg(frame.color, "rgb8", START + at, FRAME_ID)
        self.message("camera/color/image_raw", color, at + 0.02)
        metres = conversions.depth_to_millimetres(frame.depth)
        depth = conversions.image_to_msg(metres, "16UC1", START + at, FRAME_ID)
        self.message("camera/aligned_depth_to_color/image_raw", depth, at + 0.03)
        return which

    def plan(self, plan, moved=0.0, masks=True):
        """An image, the plan made from it, and its masks."""
        at = plan.stamp - START
        which = self.image(at, moved)
        self.message("plan", conversions.plan_to_msg(plan), at + 0.3)
        if masks:
            names = {p.role: p.label.split()[-1] for p in plan.prompts}
            names[Role.TARGET] = plan.prompts[0].label.split()[0]
            found = self._segments(plan, which, names)
            self.message("segments", conversions.segments_to_msg(found), at + 0.4)

    def _segments(self, plan, which, names):
        mask = np.zeros(which.shape, np.uint8)
        segments = []
        for number, prompt in enumerate(plan.prompts, start=1):
            name = names[prompt.role]
            mask[which == NUMBERS[name]] = number
            x, y, height = THINGS[name]
            segments.append(
                Segment(number, prompt.role, prompt.label, 1.0, False,
                        np.array([x, y, height / 2]), np.array([0.04, 0.04, height]), 0.0)
            )  # fmt: skip
        return Segments(plan.stamp, FRAME_ID, plan.plan_id, mask, tuple(segments))

    def say(self, text, at):
        stamp = START + at
        self._told += 1
        for c in self._session.hear(text, stamp, stamp, f"c{self._told}"):
            self.message("correction", conversions.correction_to_msg(c), at + 0.02)

    def nothing(self, at):
        self.message("plan", PlanMessage(plan_id="none", subtask="replanning"), at)

    def ask(self, instruction, why, at):
        """The task ends with a question."""
        self.message("plan", PlanMessage(plan_id="none", instruction=instruction), at)
        for times in range(3):
            self.end(at + 0.01 + times / 2, "failed", why)

    def end(self, at, state="done", why="Done."):
        self.message("status", StackStatus(node="planner", state=state, message=why), at)

    def close(self):
        self.recording.close()
        return self.recording.folder


def corrected(folder, words="no, the yellow one", instruction=GIRAFFE, **more):
    """The planner takes one block, is told the other one, and then does that.

    `more`: `right` ("yellow" unless it is "red"), `moved`, `masks`, `then`, `state`, `why`.
    """
    right = more.get("right", "yellow")
    wrong = "red" if right == "yellow" else "yellow"
    tape = Tape(folder)
    tape.arm(0.0)
    tape.plan(put("wrong", 0.1, wrong, instruction), moved=more.get("moved", 0.0))
    tape.say(words, 1.5)
    tape.nothing(1.6)
    tape.arm(2.0)
    plan = put("right", 2.1, right, instruction)
    tape.plan(plan, masks=more.get("masks", True))
    follow(tape, plan, 3.0)
    if more.get("then"):
        tape.say(more["then"], 6.0)
    tape.end(8.0, more.get("state", "done"), more.get("why", "Done."))
    return tape.close()


def follow(tape, plan, at):
    """The arm goes along the path, and grips."""
    gripper = 1.0
    target, goal = THINGS["yellow"], THINGS["plate"]
    ways = [TOOL, (*target[:2], 0.2), (*target[:2], 0.03), (*target[:2], 0.2)]
    ways += [(*goal[:2], 0.2), (*goal[:2], 0.07), (*goal[:2], 0.25), TOOL]
    for i, (way, point) in enumerate(zip(ways, plan.path, strict=True)):
        tape.arm(at + 0.2 * i, way, gripper)
        if point.gripper != Gripper.KEEP:
            gripper = 1.0 if point.gripper == Gripper.OPEN else 0.5
        tape.arm(at + 0.2 * i + 0.1, way, gripper)
