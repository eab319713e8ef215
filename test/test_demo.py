"""The demonstration's parts: scene, script, timeline, video, report; and the whole once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hierarchy_nodes.environment import prepare

prepare()

from hierarchy_interfaces.msg import StackStatus, StopState  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from hardware.cell.tasks import FAMILIES, sample  # noqa: E402
from hierarchy_nodes import conversions, types  # noqa: E402
from hierarchy_nodes.demo import report, timeline, video  # noqa: E402
from hierarchy_nodes.demo.scene import choose  # noqa: E402
from hierarchy_nodes.demo.speech import Script, parse_line  # noqa: E402
from hierarchy_nodes.errors import ConfigError, UnknownNameError  # noqa: E402
from hierarchy_nodes.recorder.recording import Limits, Recording  # noqa: E402
from hierarchy_nodes.recorder.writer import Topic  # noqa: E402

START = 1_700_000_000.0
PERIOD = 1 / 15


@pytest.mark.parametrize("family", FAMILIES)
def test_scene_of_a_tasks_own_words(family):
    """What a task of the cell asks for is found again, and judged by the right referee."""
    for seed in range(3):
        scene, task = sample(family, seed)
        choice = choose(task.instruction, family, seed, tries=1)
        assert choice.judged, task.instruction
        assert (choice.scene, choice.task) == (scene, task)


def test_scene_has_what_is_named():
    choice = choose("put the red block on the blue plate")
    assert choice.judged
    assert choice.scene.object(choice.task.target).color == "red"
    assert choice.scene.object(choice.task.goal).color == "blue"
    assert choose("put the red block on the blue plate", seed=choice.seed + 1).seed != choice.seed


@pytest.mark.parametrize("text", ["put the purple giraffe on the plate", "", "sing a song"])
def test_scene_for_what_cannot_be_done(text):
    """The stack is run anyway, but its own referee's task is not what was asked."""
    choice = choose(text)
    assert not choice.judged
    assert bool(choice.missing) == ("giraffe" in text)


def test_ambiguous_instruction_is_not_judged():
    scene, task = sample("place", 1, "multiple")
    target = scene.object(task.target)
    twins = [o for o in scene.objects if o.shape == target.shape]
    assert len(twins) > 1
    goal = scene.object(task.goal)
    text = f"put the {target.shape} {task.relation} the {goal.color} {goal.shape}"
    choice = choose(text, "place", 1)
    fitting = [o for o in choice.scene.objects if o.shape == target.shape]
    assert not choice.judged or len(fitting) == 1


def test_unknown_family():
    with pytest.raises(UnknownNameError, match="place"):
        choose("put the red block on the blue plate", "plase")


def test_script_says_each_line_once_in_order():
    said: list[str] = []
    script = Script([parse_line("b@2"), parse_line("left a bit@1.5")], said.append)
    for elapsed in (0.0, 1.4, 1.6, 1.7, 5.0, 6.0):
        script.run(elapsed)
    assert said == ["left a bit", "b"]


@pytest.mark.parametrize("text", ["left", "@3", "left@", "left@soon", "left@-1", "left@nan"])
def test_script_refuses(text):
    with pytest.raises(ConfigError, match="TEXT@SECONDS"):
        parse_line(text)


def frame(i: int) -> np.ndarray:
    color = np.full((240, 320, 3), 90, np.uint8)
    color[100:140, 10 + 3 * i : 50 + 3 * i] = (220, 30, 30)
    return color


@pytest.fixture
def bag(tmp_path) -> Path:
    """60 frames; a plan at 1 s, masks from then on, a correction at 2 s, a stop at 3 s."""
    recording = Recording(tmp_path / "bag", Limits(min_free=0))

    def add(topic: str, kind: str, message, at: float) -> None:
        now = int((START + at) * 1e9)
        recording.add(Topic(f"/{topic}", kind), serialize_message(message), now, now)

    pose = types.Pose(np.array([1.1, 0.0, 0.75]), np.array([0.3, 0.6, 0.6, 0.3]))
    path = (types.PathPoint(0.1, 0.5, gripper=types.Gripper.CLOSE), types.PathPoint(0.8, 0.5))
    plan = types.Plan(
        "p1",
        START + 0.9,
        "camera",
        pose,
        "put it there",
        types.Interaction.PLACE,
        path,
        (types.Prompt(types.Role.TARGET, "red block", 0.1, 0.5),),
        START + 60,
        "classical",
    )
    add("plan", "hierarchy_interfaces/msg/Plan", conversions.plan_to_msg(plan), 1.0)
    nothing = conversions.plan_to_msg(replace(plan, path=(), instruction=""))
    add("plan", "hierarchy_interfaces/msg/Plan", nothing, 0.2)
    correction = types.Correction(
        START + 2, "c1", "left a bit", types.CorrectionKind.MOTION, answer="2 cm left"
    )
    kind = "hierarchy_interfaces/msg/Correction"
    add("correction", kind, conversions.correction_to_msg(correction), 2.0)
    for phase, at in (("", 0.0), ("approach", 1.1), ("carry", 2.1)):
        status = StackStatus(node="controller", state="busy", phase=phase)
        add("status", "hierarchy_interfaces/msg/StackStatus", status, at)
    stop = StopState(stopped=True, reason="stop")
    add("stop_state", "hierarchy_interfaces/msg/StopState", stop, 3.0)
    for i in range(60):
        at = i * PERIOD
        image = conversions.image_to_msg(frame(i), "rgb8", START + at, "camera")
        add("camera/color/image_raw", "sensor_msgs/msg/Image", image, at + 0.01)
        if at < 1.0:
            continue
        mask = np.zeros((240, 320), np.uint8)
        mask[100:140, 10 + 3 * i : 50 + 3 * i] = 1
        zero = np.zeros(3)
        segment = types.Segment(1, types.Role.TARGET, "red block", 1.0, False, zero, zero, 0.0)
        segments = types.Segments(START + at, "camera", "p1", mask, (segment,))
        kind = "hierarchy_interfaces/msg/Segments"
        add("segments", kind, conversions.segments_to_msg(segments), at + 0.03)
        chunk = types.ActionChunk(
            START + at, START + at, "p1", np.array([0.1]), np.zeros((1, 3)),
            np.array([[1.0, 0, 0, 0]]), np.ones(1),
        )  # fmt: skip
        kind = "hierarchy_interfaces/msg/ActionChunk"
        add("action_chunk", kind, conversions.chunk_to_msg(chunk, "base_link"), at + 0.05)
    for i in range(100):
        state = JointState(header=conversions.header(START + i / 125, ""), position=[0.0])
        add("joint_states", "sensor_msgs/msg/JointState", state, i / 125)
    recording.close()
    return tmp_path / "bag"


def test_timeline_knows_what_was_known_when(bag):
    line = timeline.read(bag)
    shown = list(timeline.moments(line))
    assert len(shown) == 60
    early, acting, corrected, stopped = shown[3], shown[20], shown[35], shown[50]
    assert early.plan is not None
    assert early.plan.path == ()
    assert line.began == pytest.approx(START + 1.0)
    assert early.segments is None
    assert acting.plan is not None
    assert acting.phase == "approach"
    assert acting.corrections == ()
    assert acting.segments is not None
    # The masks of this very image, although they came later.
    assert acting.segments.stamp == pytest.approx(acting.stamp, abs=1e-6)
    assert acting.segments.mask[120, 30 + 3 * 20] == 1
    assert [c.text for c in corrected.corrections] == ["left a bit"]
    assert corrected.phase == "carry"
    assert (corrected.stopped, stopped.stopped) == ("", "stop")


def test_report_numbers(bag):
    line = timeline.read(bag)
    found = report.latencies(line)
    assert found["image_to_chunk"]["n"] == 45
    assert found["image_to_chunk"]["p50"] == pytest.approx(50, abs=1)
    assert found["image_to_plan"]["p50"] == pytest.approx(100, abs=1)
    assert found["image_to_segments"]["p50"] == pytest.approx(30, abs=1)
    assert found["joint_state_period"]["p50"] == pytest.approx(8, abs=0.1)
    phases = report.phases(line, START + 3.1)
    assert [p["phase"] for p in phases] == ["approach", "carry"]
    assert [p["seconds"] for p in phases] == pytest.approx([1.0, 1.0], abs=0.02)
    assert report.versions()["python"]
    line.statuses.pop("controller")
    assert report.phases(line, START + 3.1) == []
    line.statuses["controller"] = timeline.Series()
    line.statuses["controller"].add(START + 2, timeline.Status("controller", "idle", "", 0, ""))
    assert report.phases(line, START + 3.1) == []


def test_video_plays_in_every_browser(bag, tmp_path):
    av = pytest.importorskip("av")
    target, picture = tmp_path / "overlay.mp4", tmp_path / "overlay.png"
    assert video.render(timeline.read(bag), target, picture) == 60
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (640, 480)
        pictures = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
    assert len(pictures) == 60
    assert pictures[-1][0] == pytest.approx(59 * PERIOD, abs=0.01)
    # The path is drawn only once there is a plan: its right end is free table before.
    before, after = pictures[3][1][236:244, 380:400], pictures[20][1][236:244, 380:400]
    assert np.ptp(before.astype(int)) < 20
    assert np.ptp(after.astype(int)) > 80
    import cv2

    overview = cv2.imread(str(picture))
    assert overview.shape == (720, 1440, 3)


def demo(tmp_path: Path, *words: str, timeout: float = 240.0) -> tuple[int, dict, str]:
    """Run ``hierarchy demo``; its exit code, report and output."""
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "demo", *words]
    command += ["--runs-dir", str(tmp_path / "runs")]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=root)
    (folder,) = (tmp_path / "runs").iterdir()
    print(done.stdout, done.stderr)  # shown by pytest where the test fails
    return done.returncode, json.loads((folder / "report.json").read_text()), done.stdout


@pytest.mark.timeout(300)
def test_whole_demo(tmp_path):
    """The real graph moves the block, and everything that is promised is written."""
    code, found, output = demo(tmp_path, "put the red block on the blue plate")
    assert code == 0
    assert found["success"]
    assert found["judged_by_referee"]
    assert found["error_code"] == 0
    assert found["phases"]
    assert found["latency_ms"]["image_to_chunk"]["n"] > 10
    assert "referee" in output
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "overlay.mp4").stat().st_size > 10_000
    assert (folder / "overlay.png").exists()
    assert (folder / "bag" / "metadata.yaml").exists()
    logs = {path.stem for path in (folder / "logs").iterdir()}
    assert logs >= {"arm", "camera", "planner", "recorder"}
    assert any(name.startswith("run-") for name in logs), "the cell's"


@pytest.mark.timeout(300)
def test_whole_demo_of_what_is_not_there(tmp_path):
    """The planner's answer names what is in view, and the exit code tells."""
    code, found, output = demo(tmp_path, "put the white giraffe on the plate", "--no-video")
    assert code == 1
    assert not found["success"]
    assert found["error_name"] == "OBJECT_NOT_FOUND"
    assert "giraffe" in found["error_message"]
    assert found["error_message"] in output
    (folder,) = (tmp_path / "runs").iterdir()
    assert not (folder / "overlay.mp4").exists()


def test_demo_refuses_unknown_names(tmp_path):
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "demo", "--planner", "clasical"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'classical'?" in done.stderr
    assert not list(tmp_path.iterdir())
