"""Corrections read out of recordings: what was wrong since when, what changed, how it ended."""

import json

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from hierarchy_interfaces.msg import PathPoint, Plan, StackStatus, StopState
from rclpy.serialization import serialize_message

from hierarchy_nodes import conversions
from hierarchy_nodes.cli.main import main
from hierarchy_nodes.correction import ledger
from hierarchy_nodes.correction.grammar import parse
from hierarchy_nodes.recorder.recording import Limits, Recording
from hierarchy_nodes.recorder.writer import Topic

START = 1_700_000_000.0


class Tape:
    """Writes messages with the time at which they were published."""

    def __init__(self, folder):
        self.recording = Recording(folder, Limits(flush_period=0.05, min_free=0))

    def put(self, name, message, at):
        package, _, kind = type(message).__module__.split(".")[0], None, type(message).__name__
        ns = round((START + at) * 1e9)
        topic = Topic(f"/arm1/{name}", f"{package}/msg/{kind}")
        self.recording.add(topic, serialize_message(message), ns, ns)

    def plan(self, at, plan_id, subtask, path=True):
        points = [PathPoint(x=0.2, y=0.5, depth=1.0)] if path else []
        self.put("plan", Plan(plan_id=plan_id, subtask=subtask, path=points), at)

    def tool(self, at, x, y):
        pose = PoseStamped()
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = x, y, 0.2
        self.put("end_effector_pose", pose, at)

    def say(self, text, at):
        for correction in parse(text, START + at, base_id=text.replace(" ", "_")):
            self.put("correction", conversions.correction_to_msg(correction), at + 0.02)

    def image(self, at, value):
        pixels = np.full((12, 16, 3), value, np.uint8)
        message = conversions.image_to_msg(pixels, "rgb8", START + at, "camera")
        self.put("camera/color/image_raw", message, at)


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """The arm goes right though it should not, is told so, then takes the wrong thing, is told so,
    and is stopped."""
    folder = tmp_path_factory.mktemp("tapes") / "first"
    tape = Tape(folder)
    tape.plan(0.0, "p1", "put the red block in the bowl")
    for i in range(200):
        at = i * 0.05
        # To the right from 2 s to 4 s, and back to the left after that.
        y = -0.05 * np.clip(at - 2, 0, 2) + 0.03 * np.clip(at - 4.2, 0, 1)
        tape.tool(at, 0.5, y)
        if i % 10 == 0:
            tape.image(at, i)
        if i == 80:
            tape.say("left two centimetres", at)
        if i == 120:
            tape.say("no, the blue one", at)
        if i == 124:
            tape.plan(at, "none-1", "replanning", path=False)
        if i == 130:
            tape.plan(at, "p2", "put the blue block in the bowl")
        if i == 160:
            tape.say("banana", at)
        if i == 170:
            tape.say("stop", at)
            tape.put("stop_state", StopState(stopped=True, reason="stop"), at + 0.03)
    tape.put("status", StackStatus(node="controller", state="done"), 10.0)
    tape.put(
        "status",
        StackStatus(node="planner", state="failed", message="The task was cancelled."),
        10.1,
    )
    tape.recording.close()
    return folder


def test_what_was_corrected_and_what_came_of_it(tape):
    left, blue, banana, stop = ledger.read(tape)
    assert [e.kind for e in (left, blue, banana, stop)] == ["motion", "retarget", "unknown", "stop"]
    assert left.said == pytest.approx(START + 4.0, abs=1e-3)
    assert left.subtask == "put the red block in the bowl"
    assert left.changed == "moved 3.0 of 2.0 cm"
    assert blue.changed == 'new plan: "put the blue block in the bowl"'
    assert (banana.accepted, banana.changed) == (False, "nothing")
    assert stop.changed == "stopped after 10 ms"
    assert stop.plan_id == "p2"
    assert {e.outcome for e in (left, blue, stop)} == {"failed"}
    assert stop.reason == "The task was cancelled."


def test_since_when_it_was_wrong(tape):
    left, blue, banana, _ = ledger.read(tape)
    # It went to the right from 2 s on.
    assert left.onset == pytest.approx(START + 2.0, abs=0.11)
    # The plan was wrong from its beginning, but so long ago nobody looks.
    assert blue.onset == pytest.approx(max(START, blue.said - ledger.BEFORE), abs=1e-3)
    assert banana.onset == pytest.approx(banana.said - ledger.REACTION)


def test_listed_shown_and_exported(tape, tmp_path, capsys):
    assert main(["corrections", "list", str(tape)]) == 0
    out = capsys.readouterr().out
    assert '"left two centimetres" -> moved 3.0 of 2.0 cm; failed' in out
    assert out.endswith("4 corrections\n")
    picture = tmp_path / "one.jpg"
    assert main(["corrections", "show", str(tape), "1", "--picture", str(picture)]) == 0
    shown = cv2.imread(str(picture))
    assert shown.shape == (12 + 24, 3 * 16, 3)
    # When it began, when it was said, and after.
    values = [shown[4, 8 + 16 * i].mean() for i in range(3)]
    assert values == pytest.approx([40, 80, 140], abs=12)
    assert main(["corrections", "export", str(tape), "--out", str(tmp_path / "all")]) == 0
    rows = json.loads((tmp_path / "all" / "corrections.json").read_text())
    assert [row["kind"] for row in rows] == ["motion", "retarget", "unknown", "stop"]
    assert all((tmp_path / "all" / row["picture"]).is_file() for row in rows)


def test_a_number_that_is_none_is_named(tape, tmp_path, capsys):
    assert main(["corrections", "show", str(tape), "9"]) == 2
    assert "number 9: the recording holds 1 to 4" in capsys.readouterr().err
    assert main(["corrections", "list", str(tmp_path)]) == 2
    assert "no .mcap file there" in capsys.readouterr().err
