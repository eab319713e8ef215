"""Processes: output, respawn, and an end that leaves nothing behind."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.launcher import Launcher, ProcessSpec
from hierarchy_nodes.launcher.shared_memory import sweep

PATIENCE = 30.0


def python(name, code, **rest):
    return ProcessSpec(name, (sys.executable, "-u", "-c", textwrap.dedent(code)), **rest)


def until(done, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        result = done()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"nothing within {timeout} s")


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


SLEEP = "import time; print('up'); time.sleep(600)"
STUBBORN = """
    import signal, time
    signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print('up'); time.sleep(600)
"""


def test_output_carries_the_name_and_goes_to_the_log(tmp_path):
    lines = []
    specs = [
        python("loud", "import sys; print('hello'); print('oops', file=sys.stderr)"),
        python("quiet", "print('hidden')", screen=False),
    ]
    with Launcher(specs, lambda *line: lines.append(line), tmp_path) as launcher:
        until(lambda: not (launcher.poll(), launcher.alive())[1])
    assert sorted(lines) == [("loud", "hello"), ("loud", "oops")]
    assert (tmp_path / "quiet.log").read_text() == "hidden\n"


def test_environment_and_ros_arguments_are_those_of_ros2_launch(tmp_path):
    code = "import os, sys, json; print(json.dumps([os.environ['E'], sys.argv[1:]]))"
    params = tmp_path / "p.yaml"
    params.write_text("{}")
    lines = []
    spec = python(
        "ns/n",
        code,
        environment={"E": "set"},
        ros=True,
        node="n",
        namespace="/ns",
        parameters=(params, {"a.b": "1"}),
        remaps=(("x", "y"),),
    )
    with Launcher([spec], lambda name, line: lines.append(line)):
        until(lambda: lines)
        value, words = json.loads(lines[0])
        assert value == "set"
        written = words[words.index("--params-file", 7) + 1]
        expected = f"--ros-args -r __node:=n -r __ns:=/ns --params-file {params}"
        assert " ".join(words) == f"{expected} --params-file {written} -r x:=y"
        assert Path(written).read_text() == "/ns/n:\n  ros__parameters:\n    a.b: '1'\n"
    assert not Path(written).exists()


def test_a_process_that_ends_is_started_again():
    spec = python("again", SLEEP, respawn=True, respawn_delay=0.2)
    with Launcher([spec, python("once", SLEEP)]) as launcher:
        first = launcher.pids
        for pid in first.values():
            os.kill(pid, signal.SIGKILL)
        events = []

        def both_ended():
            # One of them may be seen to end before the other.
            events.extend(launcher.poll())
            return len([e for e in events if e.kind == "ended"]) == 2

        until(both_ended)
        assert {e.code for e in events if e.kind == "ended"} == {-signal.SIGKILL}
        second = until(lambda: (launcher.poll(), launcher.pids)[1])
        assert list(second) == ["again"]
        assert second["again"] != first["again"]


def test_the_end_takes_at_most_five_seconds_whoever_resists():
    lines = []
    specs = [
        python("sleeper", SLEEP),
        python("stubborn", STUBBORN),
        python(
            "parent",
            """
            import subprocess, sys, time
            child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
            print(child.pid, flush=True); time.sleep(600)
            """,
        ),
    ]
    launcher = Launcher(specs, lambda *line: lines.append(line))
    launcher.start()
    until(lambda: len(lines) == 3)
    grandchild = int(next(line for name, line in lines if name == "parent"))
    pids = [*launcher.pids.values(), grandchild]
    begun = time.monotonic()
    codes = launcher.shutdown()
    assert time.monotonic() - begun < 5.0
    assert codes["stubborn"] == -signal.SIGKILL
    until(lambda: not any(running(pid) for pid in pids), timeout=2.0)
    assert not launcher.alive()
    assert launcher.shutdown() == {}


def test_a_program_that_is_missing_ends_what_was_started():
    launcher = Launcher([python("first", SLEEP), ProcessSpec("second", ("/no/such/program",))])
    with pytest.raises(ConfigError, match=r"second: '/no/such/program' cannot be run"):
        launcher.start()
    assert not launcher.alive()


def launch(path, *words, **rest):
    command = [sys.executable, "-m", "hierarchy_nodes.cli.main", "launch", str(path), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1, **rest
    )


@pytest.fixture
def sleepers(tmp_path):
    path = tmp_path / "sleepers.launch.xml"
    (tmp_path / "sleep.py").write_text(SLEEP)
    one = f"<executable name='%s' cmd='{sys.executable} $(dirname)/sleep.py'/>"
    path.write_text(f"<launch>{one % 'a'}{one % 'b'}</launch>")
    return path


def read_pids(process, count):
    pids = {}
    while len(pids) < count:
        line = process.stdout.readline()
        assert line, "ended too early"
        if "started (pid" in line:
            pids[line.split()[1]] = int(line.rsplit(" ", 1)[1].rstrip(")\n"))
    return pids


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_in_good_order(sleepers, number):
    process = launch(sleepers)
    pids = read_pids(process, 2)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in rest
    assert "ended 2 processes" in rest
    assert not any(running(pid) for pid in pids.values())


def test_a_signal_at_any_moment_ends_it():
    """Also while the waiting thread holds whatever it waits with."""
    code = """
        import os, signal, sys
        from hierarchy_nodes.cli.launch import supervise

        class Launcher:
            def start(self): return []
            def alive(self): return True
            def poll(self): return []
            def shutdown(self, stop_first): return {}

        seen = set()

        def interrupt(frame, event, argument):
            # At the beginning of every function that is called from here on.
            if event == "call" and frame.f_code not in seen:
                seen.add(frame.f_code)
                os.kill(os.getpid(), signal.SIGINT)

        poll = Launcher.poll
        def first(self):
            Launcher.poll = poll
            sys.setprofile(interrupt)
            return []
        Launcher.poll = first
        sys.exit(supervise(Launcher(), []))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=PATIENCE)
    assert done.returncode == 0


def test_no_orphans_when_the_command_is_killed(sleepers):
    process = launch(sleepers)
    pids = read_pids(process, 2)
    process.kill()
    process.communicate()
    until(lambda: not any(running(pid) for pid in pids.values()))


def test_the_command_fails_with_a_process_that_fails(tmp_path):
    path = tmp_path / "x.launch.xml"
    path.write_text("<launch><executable name='bad' cmd='sh -c &quot;exit 3&quot;'/></launch>")
    process = launch(path)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "bad ended with code 3" in out


def test_bad_arguments_are_one_line_and_code_two(sleepers):
    process = launch(sleepers, "what=1")
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert out == "hierarchy launch: 'what=1': launch arguments are given as name:=value.\n"


def test_shared_memory_of_killed_processes_is_given_back(tmp_path):
    old = time.time() - 100
    for name in ("fastrtps_00112233445566aa", "fastrtps_00112233445566bb", "fastrtps_port7400"):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / f"{name}_el").write_bytes(b"")
        os.utime(tmp_path / f"{name}_el", (old, old))
    young = tmp_path / "fastrtps_00112233445566cc_el"
    young.write_bytes(b"")
    holder = tmp_path / "fastrtps_00112233445566bb_el"
    with open(holder) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert sweep(tmp_path) == 1
    names = {path.name for path in tmp_path.iterdir()}
    assert not any("aa" in name for name in names)
    assert {"fastrtps_00112233445566bb", "fastrtps_port7400", young.name} <= names
