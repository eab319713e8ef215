"""The recorder's core: what is written can be read by standard tools, whatever happens."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mcap.exceptions import EndOfFile
from mcap.stream_reader import StreamReader

from hierarchy_nodes.environment import prepare

prepare()

from hierarchy_interfaces.msg import PathPoint, Plan  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from hierarchy_nodes.recorder import reader, schemas  # noqa: E402
from hierarchy_nodes.recorder.recording import Limits, Recording  # noqa: E402
from hierarchy_nodes.recorder.writer import McapFile, Topic, WholeWrites  # noqa: E402

JOINTS = Topic("/robot1/joint_states", "sensor_msgs/msg/JointState")
PLAN = Topic("/robot1/plan", "hierarchy_interfaces/msg/Plan")


def joints(value: float) -> bytes:
    values = [value, 1.0]
    # Not empty: serialize_message() leaves loose bytes behind an empty list of doubles at the end.
    message = JointState(name=["joint_1", "grip"], position=values, velocity=values, effort=values)
    message.header.stamp.sec = 7
    return serialize_message(message)


def plan() -> bytes:
    path = [PathPoint(x=0.25, y=0.5, depth=1.0, gripper=PathPoint.GRIPPER_CLOSE)]
    return serialize_message(Plan(plan_id="p1", instruction="the übung", path=path))


def record(folder: Path, count: int = 50, limits: Limits | None = None) -> Recording:
    recording = Recording(folder, limits or Limits(flush_period=0.05, min_free=0))
    for i in range(count):
        recording.add(JOINTS, joints(i), 1_000_000 * (i + 1), 1_000_000 * i)
    recording.add(PLAN, plan(), 1_000_000 * (count + 1), 1)
    return recording


def decoded(folder: Path, topic: str | None = None) -> list:
    decode = reader.Decoder()
    wanted = None if topic is None else [topic]
    return [decode(found) for found in reader.records(folder, wanted)]


def test_round_trip(tmp_path):
    record(tmp_path / "a").close()
    values = [message.position[0] for message in decoded(tmp_path / "a", JOINTS.name)]
    assert values == list(range(50))
    (found,) = decoded(tmp_path / "a", PLAN.name)
    assert found.instruction == "the übung"
    assert found.path[0].gripper == PathPoint.GRIPPER_CLOSE
    assert reader.topics_of(tmp_path / "a") == {JOINTS.name: JOINTS.type, PLAN.name: PLAN.type}
    first = next(reader.records(tmp_path / "a"))
    assert (first.log_time, first.publish_time) == (1_000_000, 0)


def test_other_peoples_readers(tmp_path):
    """rosbags opens the folder by its metadata.yaml, mcap_ros2 the file."""
    rosbags = pytest.importorskip("rosbags.highlevel")
    from mcap_ros2.reader import read_ros2_messages

    record(tmp_path / "a").close()
    with rosbags.AnyReader([tmp_path / "a"]) as bag:
        assert {c.topic: c.msgcount for c in bag.connections} == {JOINTS.name: 50, PLAN.name: 1}
        read = {c.topic: bag.deserialize(data, c.msgtype) for c, _, data in bag.messages()}
    assert read[JOINTS.name].position[0] == 49
    assert read[PLAN.name].path[0].x == pytest.approx(0.25)
    (file,) = reader.files_of(tmp_path / "a")
    messages = list(read_ros2_messages(str(file), topics=[PLAN.name]))
    assert messages[0].ros_msg.plan_id == "p1"


@pytest.mark.parametrize(
    "name",
    [
        "sensor_msgs/msg/Image",
        "hierarchy_interfaces/msg/Segments",
        "hierarchy_interfaces/action/ExecuteTask_FeedbackMessage",
        "action_msgs/msg/GoalStatusArray",
        "diagnostic_msgs/msg/DiagnosticArray",
    ],
)
def test_schema_is_complete(name):
    """A parser that knows nothing but the text can make a decoder of it."""
    stores = pytest.importorskip("rosbags.typesys")
    text = schemas.definition(name)
    types = stores.get_types_from_msg(text, name)
    wanted = {line.split()[1] for line in text.splitlines() if line.startswith("MSG: ")}
    assert len(types) == len(wanted) + 1


def test_schema_of_unknown_type():
    with pytest.raises(schemas.SchemaNotFound, match="nowhere/msg/Nothing"):
        schemas.definition("nowhere/msg/Nothing")


def test_topic_of_unknown_type_does_not_end_the_recording(tmp_path):
    recording = record(tmp_path / "a")
    recording.add(Topic("/odd", "nowhere/msg/Nothing"), b"1234", 1, 1)
    recording.add(JOINTS, joints(99), 10**9, 1)
    recording.close()
    assert "/odd" in recording.skipped
    assert not recording.failure
    assert decoded(tmp_path / "a", JOINTS.name)[-1].position[0] == 99


WRITE_FOREVER = """
import sys, time
from pathlib import Path
from hierarchy_nodes.environment import prepare
prepare()
sys.path.insert(0, "test")
from test_recorder import JOINTS, Limits, Recording, joints
recording = Recording(Path(sys.argv[1]), Limits(min_free=0))
while True:
    now = time.time_ns()
    recording.add(JOINTS, joints(now / 1e9), now, now)
    time.sleep(0.005)
"""


def test_sigkill_costs_less_than_a_second(tmp_path):
    folder = tmp_path / "a"
    root = Path(__file__).parent.parent
    process = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(folder)], cwd=root)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if len(list(reader.records(folder))) > 100:
                    break
            except reader.RecordingError:
                pass
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        killed = time.time()
    finally:
        process.kill()
        process.wait()
    (file,) = reader.files_of(folder)
    assert not reader.is_complete(file)
    last = decoded(folder)[-1].position[0]
    assert killed - last < 1.0

    seen = 0
    # The standard reader gives what there is and then says that the end is missing.
    with open(file, "rb") as stream, contextlib.suppress(EndOfFile):
        for _ in StreamReader(stream).records:
            seen += 1
    assert seen > 100

    count = len(decoded(folder))
    assert reader.repair(folder) == 1
    assert reader.is_complete(file)
    assert len(decoded(folder)) == count
    rosbags = pytest.importorskip("rosbags.highlevel")
    with rosbags.AnyReader([folder]) as bag:
        assert bag.message_count == count


def test_cut_anywhere_is_readable(tmp_path):
    """Whatever byte the file ends at, all chunks before are read and nothing raises."""
    recording = Recording(tmp_path / "a", Limits(flush_period=0.02, min_free=0))
    for i in range(30):
        recording.add(JOINTS, joints(i), i + 1, i + 1)
        time.sleep(0.005)
    recording.close()
    (file,) = reader.files_of(tmp_path / "a")
    whole = file.read_bytes()
    counts = []
    for end in range(60, len(whole), max(1, len(whole) // 150)):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(whole[:end])
        counts.append(len(list(reader.records(cut))))
    assert counts == sorted(counts)
    assert counts[-1] == 30


def test_repair_leaves_a_running_recording_alone(tmp_path):
    recording = record(tmp_path / "a")
    time.sleep(0.3)
    assert reader.repair(tmp_path / "a") == 0
    recording.add(JOINTS, joints(99), 10**9, 1)
    recording.close()
    assert decoded(tmp_path / "a", JOINTS.name)[-1].position[0] == 99


def test_not_a_recording(tmp_path):
    (tmp_path / "x.mcap").write_bytes(b"not at all")
    with pytest.raises(reader.RecordingError, match=r"x\.mcap"):
        list(reader.records(tmp_path / "x.mcap"))
    with pytest.raises(reader.RecordingError, match="nothing_here"):
        list(reader.records(tmp_path / "nothing_here"))


def test_new_file_at_size(tmp_path):
    limits = Limits(flush_period=0.02, min_free=0, max_file=20_000)
    recording = Recording(tmp_path / "a", limits)
    payload = Topic("/noise", "std_msgs/msg/ByteMultiArray")
    for i in range(20):
        recording.add(payload, os.urandom(5_000), i + 1, i + 1)
        time.sleep(0.01)
    recording.close()
    assert len(reader.files_of(tmp_path / "a")) > 2
    times = [found.log_time for found in reader.records(tmp_path / "a")]
    assert times == list(range(1, 21))


def test_full_disk(tmp_path, monkeypatch):
    """The device refuses in the middle of a write: reported, and what was flushed is kept."""
    real, room = WholeWrites._put, [60_000]

    def put(self: WholeWrites, data: memoryview) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(self, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(WholeWrites, "_put", put)
    recording = Recording(tmp_path / "a", Limits(flush_period=0.02, min_free=0))
    payload = Topic("/noise", "std_msgs/msg/ByteMultiArray")
    for i in range(200):
        recording.add(payload, os.urandom(5_000), i + 1, i + 1)
        time.sleep(0.01)
        if recording.failure:
            break
    assert recording.failure.startswith("disk full: No space left")
    recording.close()
    kept = list(reader.records(tmp_path / "a"))
    assert 0 < len(kept) <= 12


def test_full_disk_for_real(tmp_path):
    """A file system of 1 MB; needs the right to mount one."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a tmpfs")
    try:
        recording = Recording(mount / "a", Limits(flush_period=0.02, min_free=0))
        payload = Topic("/noise", "std_msgs/msg/ByteMultiArray")
        deadline = time.monotonic() + 20
        while not recording.failure and time.monotonic() < deadline:
            recording.add(payload, os.urandom(20_000), 1, 1)
            time.sleep(0.005)
        assert recording.failure.startswith("disk full: No space left")
        recording.close()
        assert len(list(reader.records(mount / "a"))) > 10
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_little_free_space_ends_in_good_order(tmp_path):
    recording = Recording(tmp_path / "a", Limits(flush_period=0.02, min_free=10**18))
    assert recording.failure.startswith("disk full: ")
    assert "must stay free" in recording.failure
    recording.close()


def test_slow_disk_drops_and_counts(tmp_path):
    recording = Recording(tmp_path / "a", Limits(flush_period=1.0, min_free=0, max_waiting=1000))
    for i in range(100):
        recording.add(JOINTS, joints(i), i + 1, i + 1)
    recording.close()
    assert recording.dropped > 80
    assert recording.messages + recording.dropped == 100


def test_file_is_never_overwritten(tmp_path):
    McapFile(tmp_path / "a.mcap").close()
    with pytest.raises(FileExistsError):
        McapFile(tmp_path / "a.mcap")
