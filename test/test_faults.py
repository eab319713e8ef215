"""Pull the plug of each process in turn while the arm moves.

The arm must come to rest, /diagnostics must say what died, and once the process is back the task
can be run again with nothing else restarted. The arm is watched at the device: by a second client
of the cell's arm channel, not through the nodes under test.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from hierarchy_nodes.environment import prepare

prepare()

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402

from hardware.arms.mujoco import MujocoArm  # noqa: E402
from hierarchy_nodes import qos  # noqa: E402
from hierarchy_nodes.demo.client import StackClient  # noqa: E402
from hierarchy_nodes.demo.stack import Stack  # noqa: E402
from hierarchy_nodes.errors import DriverError  # noqa: E402

# The joints count as moving above this speed, radians per second.
MOVING = 0.05
# Seconds that the arm is watched; a loaded test machine is granted half of them to come to rest.
PATIENCE = 1.0
SEED = 1


class Watch:
    """Samples the device's joint speeds in a thread of its own."""

    def __init__(self, cell: str) -> None:
        self.samples: list[tuple[float, float]] = []
        self._arm = MujocoArm.from_options({"cell": cell})
        self._arm.connect()
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._open:
            try:
                state = self._arm.read_state(max_age=0.5)
                self.samples.append((state.stamp, float(np.abs(state.velocities).max())))
            except DriverError:
                pass
            time.sleep(0.004)

    def moving(self) -> bool:
        """Whether the arm moved in each of the last samples (0.1 s)."""
        newest = self.samples[-25:]
        return len(newest) == 25 and min(speed for _, speed in newest) > MOVING

    def rest_after(self, instant: float) -> float:
        """Seconds from `instant` until the arm came to rest for at least 0.1 s."""
        moved = instant
        for stamp, speed in list(self.samples):
            if stamp > moved + 0.1:
                break
            if stamp > instant and speed > MOVING:
                moved = stamp
        return moved - instant

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._arm.disconnect()


class Scene:
    """The stack, a person's client, and a watch on the device."""

    def __init__(self, stack: Stack, client: StackClient) -> None:
        self.stack, self.client = stack, client
        self.watch = Watch(stack.cell)
        self.diagnostics: list[tuple[float, DiagnosticStatus]] = []
        client.node.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.EVENT
        )

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        self.diagnostics += [(now, status) for status in message.status]

    def run_until_moving(self) -> None:
        """Lay the table anew, give the task, and wait for the arm to be on its way."""
        self.client.wait_ready(self.stack.names, 60)
        self.client.wait(self._all_well, 60, "The stack was not well again")
        task = self.stack.referee.reset("place", SEED)
        self.client.spin(1.0)
        for _ in range(3):
            self.sent = self.client.begin(task.instruction)
            ended = self.sent.get_result_async()
            self.client.wait(
                lambda ended=ended: ended.done() or self.watch.moving(), 60, "The arm did not move"
            )
            if not ended.done():
                return
            # Somebody had not found the restarted node yet: a person would say it again.
            print("ended before it moved:", ended.result().result.error_message)
            self.client.spin(2.0)
        raise AssertionError("three tasks ended before the arm moved")

    def _all_well(self) -> bool:
        now = time.monotonic()
        return all(
            now - at < 0.5 and status.level != status.ERROR
            for at, status in self.client.statuses.values()
        )

    def told(self, name: str, since: float) -> bool:
        """Whether /diagnostics blamed `name` after `since`."""
        return any(
            at > since
            and status.level != DiagnosticStatus.OK
            and name in f"{status.name} {status.message}"
            for at, status in self.diagnostics
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    with (
        Stack(folder, respawn=True) as stack,
        StackClient(tick=stack.check) as client,
    ):
        client.wait_ready(stack.names, 90)
        running = Scene(stack, client)
        yield running
        running.watch.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "name",
    [
        "controller",
        "segmenter",
        "planner",
        "camera",
        "correction",
        "console",
        "recorder",
        "arm",
        "cell",
    ],
)
def test_a_killed_process_leaves_the_arm_at_rest(scene, name):
    scene.run_until_moving()
    pid = scene.stack.pids[name]
    killed, since = time.time(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    scene.client.spin(PATIENCE)
    rest = scene.watch.rest_after(killed)
    print(f"killed {name}: at rest after {rest * 1e3:.0f} ms")
    assert rest < PATIENCE / 2, f"{name} dead, and the arm still moved after {rest:.2f} s"
    suspect = "arm" if name == "cell" else name
    scene.client.wait(
        lambda: scene.told(suspect, since), 10, f"/diagnostics did not name {suspect}"
    )
    scene.client.wait(
        lambda: scene.stack.pids.get(name, pid) != pid, 20, f"{name} was not started again"
    )
    scene.client.abandon(scene.sent)


@pytest.mark.timeout(300)
def test_the_task_runs_to_its_end_after_all_that(scene):
    scene.run_until_moving()
    outcome = scene.client.finish(scene.sent, 120)
    assert outcome.success, outcome.error_message
    success, reason = scene.stack.verdict()
    assert success, reason
