"""One turn of the control loop, and all that may be asked of the arm between two turns."""

from __future__ import annotations

import time

from hardware.base import ArmDriver, ArmState, JointCommand
from hierarchy_nodes.arm.config import ArmConfig
from hierarchy_nodes.arm.executor import ArmPhase, ChunkExecutor
from hierarchy_nodes.arm.kinematics import Kinematics
from hierarchy_nodes.arm.link import ArmLink
from hierarchy_nodes.arm.statistics import Rate, Window
from hierarchy_nodes.errors import ChunkRejected, ConfigError
from hierarchy_nodes.health import ERROR, OK, WARN, Report
from hierarchy_nodes.types import ActionChunk, Correction, CorrectionKind

# Seconds for which a rejected chunk is worth a warning.
_REJECTION_SHOWN = 2.0


class ArmLoop:
    """Reads the arm, asks the executor, and sends; survives the loss of the device.

    Attributes:
        executor: None until the device was reached for the first time.
        sent: The newest setpoint that the driver sent.
    """

    def __init__(self, config: ArmConfig, driver: ArmDriver) -> None:
        self.config = config
        self.kinematics = Kinematics(config.urdf or None)
        self.link = ArmLink(driver, config.max_state_age)
        self.executor: ChunkExecutor | None = None
        self.sent: JointCommand | None = None
        self._stopped: str | None = None
        self._device_stopped = True
        self._last_turn: float | None = None
        self._validity: tuple[str, float] | None = None
        self._refused = 0
        self._last_rejection = ("", -float("inf"))
        self._hold: str | None = None
        self.period_errors, self.step_times = Window(), Window()
        self.ik_times, self.chunk_ages = Window(), Window(200)
        self.turns, self.chunks = Rate(250), Rate(20)

    def turn(self, now: float) -> ArmState | None:
        """One period: the newest measured state, or None while there is none.

        Args:
            now: Seconds since the epoch, the clock of chunks and driver readings.
        """
        begin = time.monotonic()
        self._measure_period(begin)
        if self.link.poll(begin):
            self._connected(begin)
        state = self.link.read(begin)
        self.sent = None
        if self.executor is None or state is None or not self.link.connected:
            return None
        self.executor.hold(self._hold)
        command = self.executor.step(now, state)
        if self.executor.state == ArmPhase.STOPPED:
            # The device brakes by itself; a setpoint would only get in its way.
            self._device_stopped = self._device_stopped or self.link.stop()
        else:
            self.sent = self.link.send(command)
        if self.executor.state == ArmPhase.BUSY:
            self.ik_times.add(self.executor.statistics.ik_seconds)
        self.step_times.add(time.monotonic() - begin)
        return state

    def submit(self, chunk: ActionChunk, now: float, frame: str) -> None:
        """Hand a chunk with poses in `frame` to the executor.

        Raises:
            ChunkRejected: It failed the checks, the arm is stopped or not there.
        """
        clock = time.monotonic()
        self.chunks.tick(clock)
        try:
            if self.executor is None or not self.link.connected:
                raise self._refuse(f"the arm is not there: {self.link.error or 'connecting'}")
            if frame != self.config.base_frame:
                raise self._refuse(f"frame '{frame}', expected '{self.config.base_frame}'.")
            self.chunk_ages.add(now - chunk.stamp)
            self.executor.submit(chunk, now)
        except ChunkRejected as error:
            self._last_rejection = (str(error), clock)
            raise

    def _refuse(self, reason: str) -> ChunkRejected:
        self._refused += 1
        return ChunkRejected(reason)

    def stop(self, reason: str) -> None:
        """Stop the device at once and keep it stopped."""
        # The device first: everything else can wait.
        self._device_stopped = self.link.stop()
        if self._stopped is None:
            self._stopped = reason
        if self.executor is not None:
            self.executor.stop(reason)

    def reset_stop(self, now: float) -> tuple[bool, str]:
        """Allow motion again. Whether it is allowed now, and why."""
        if self._stopped is None:
            return True, "was not stopped"
        state = self.link.state
        if self.executor is None or not self.link.connected or state is None:
            return False, f"the arm is not there: {self.link.error or 'no reading yet'}"
        if now - state.stamp > self.config.max_state_age:
            return False, f"the measured state is {now - state.stamp:.2f} s old"
        self.executor.reset_stop(state)
        self._stopped = None
        return True, "motion starts from the measured state"

    @property
    def stop_reason(self) -> str | None:
        """Why the arm is stopped; None if it is not."""
        return self._stopped

    def hold(self, reason: str | None) -> None:
        """Hold for `reason` until called again with None."""
        self._hold = reason

    def set_validity(self, plan_id: str, valid_until: float) -> None:
        """Chunks that follow plan `plan_id` are good until then."""
        self._validity = (plan_id, valid_until)
        if self.executor is not None:
            self.executor.set_validity(plan_id, valid_until)

    def correct(self, correction: Correction) -> None:
        """Do what a correction asks of the arm itself; others are not for the arm."""
        if not correction.accepted:
            return
        if correction.kind == CorrectionKind.STOP:
            self.stop(f"correction: {correction.text}")
        elif self.executor is not None:
            self.executor.correct(correction)

    def close(self) -> None:
        """Leave the arm at rest."""
        self.link.stop()
        self.link.close()

    def condition(self) -> tuple[str, int, str]:
        """State word, level and a line for a person."""
        if self._stopped is not None:
            return "stopped", WARN, self._stopped
        if not self.link.connected and not self.link.error:
            return "idle", OK, "connecting to the arm"
        if not self.link.connected:
            return "failed", ERROR, f"arm driver {self.config.driver}: {self.link.error}"
        if self.executor is None:
            return "idle", OK, ""
        state, reason = self.executor.state, self.executor.reason
        usual = reason in ("", "no chunk yet", "no new chunk", "paused")
        return str(state), OK if usual else WARN, reason

    def reports(self) -> list[Report]:
        """Rates, latencies and counts for diagnostics."""
        state, level, message = self.condition()
        clock = time.monotonic()
        values: dict[str, object] = {
            "state": state,
            "rate_hz": self.turns.hz(clock),
            "driver": self.config.driver,
            "connections": self.link.connections,
        }
        for name, window in (
            ("period_error", self.period_errors),
            ("step", self.step_times),
            ("ik", self.ik_times),
        ):
            values |= _percentiles(name, window)
        if self.executor is not None:
            counts = self.executor.statistics
            values |= {
                "speed_factor": self.executor.speed,
                "paused": self.executor.paused,
                "path_error_mm": 1e3 * counts.path_error,
                "restarts": counts.restarts,
                "last_restart": counts.last_restart,
                "failures": counts.failures,
                "last_failure": counts.last_failure,
            }
        return [Report(level, message or state, values), self._chunk_report(clock)]

    def _chunk_report(self, clock: float) -> Report:
        counts = self.executor.statistics if self.executor is not None else None
        reason, at = self._last_rejection
        fresh = clock - at < _REJECTION_SHOWN
        values: dict[str, object] = {
            "rate_hz": self.chunks.hz(clock),
            "accepted": counts.accepted if counts else 0,
            "rejected": self._refused + (counts.rejected if counts else 0),
            "last_rejection": reason,
            **_percentiles("age", self.chunk_ages),
        }
        message = f"rejected: {reason}" if fresh else "ok"
        return Report(WARN if fresh else OK, message, values, part="chunks")

    def _measure_period(self, begin: float) -> None:
        if self._last_turn is not None:
            self.period_errors.add(abs(begin - self._last_turn - 1.0 / self.config.rate_hz))
        self._last_turn = begin
        self.turns.tick(begin)

    def _connected(self, now: float) -> None:
        """A new device, or the old one after something happened to it: trust only what it says."""
        capabilities = self.link.driver.capabilities
        try:
            executor = ChunkExecutor(self.config, self.kinematics, capabilities)
        except ConfigError as error:
            self.link.lose(error)
            return
        if self.executor is not None:
            executor.take_over(self.executor)
        self.executor = executor
        if self._validity is not None:
            executor.set_validity(*self._validity)
        if self._stopped is not None:
            executor.stop(self._stopped)
            self._device_stopped = False


def _percentiles(name: str, window: Window) -> dict[str, object]:
    middle, late = window.percentiles(50, 99)
    return {f"{name}_p50_ms": 1e3 * middle, f"{name}_p99_ms": 1e3 * late}
