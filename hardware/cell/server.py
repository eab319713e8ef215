"""The cell as a process of its own: keeps time, serves arm and cameras, lets a referee look.

Physics runs in the main thread, paced by the wall clock; pictures are made in a second thread
from a copy of the configuration, and only of cameras that somebody listens to.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import zmq

from hardware.cell import protocol
from hardware.cell.cell import Cell
from hardware.cell.eye import Eye
from hardware.cell.referee import Referee
from hardware.cell.scene import SceneSpec
from hardware.cell.tasks import TaskSpec, sample
from hierarchy_nodes.errors import ConfigError, DriverError, HierarchyError

TICK = 0.004  # seconds between looks at the command socket; readings go out as often
TOO_LATE = 0.2  # behind by more than this, time is let go instead of made up
MAX_COMMAND_AGE = 0.1
SAFE_HEIGHT = 0.15  # an arm below this goes home when the table is laid anew


@dataclass(frozen=True)
class ServerOptions:
    """How to run; `token` empty means that there is no referee."""

    name: str = "cell"
    family: str = "place"
    axis: str = "basic"
    seed: int = 1
    speed: float = 1.0
    width: int = 320
    height: int = 240
    rate: float = 15.0
    token: str = ""


class CellServer:
    """Serves one cell under a name.

    Raises:
        DriverError: A cell of that name is already running.
    """

    def __init__(self, options: ServerOptions) -> None:
        if not 0.01 <= options.speed <= 100.0 or not 0.1 <= options.rate <= 120.0:
            raise ConfigError(
                f"Cell: speed {options.speed} must be in [0.01, 100] and "
                f"rate {options.rate} Hz in [0.1, 120]."
            )
        self.options = options
        # No Event: a signal handler must not wait for its lock.
        self._running = True
        self._lock = threading.Lock()
        self._blind_until = 0.0
        self._lock_file = _claim(options.name)
        scene, self.task = sample(options.family, options.seed, options.axis)
        self._install(self._make(scene), self.task)
        self._context = zmq.Context()
        self._commands = self._bind(zmq.PULL, "arm")
        self._states = self._bind(zmq.PUB, "state")
        self._threads = [threading.Thread(target=self._see, name="camera", daemon=True)]
        if options.token:
            self._threads.append(threading.Thread(target=self._judge, name="referee", daemon=True))

    def _bind(self, kind: int, channel: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.sndhwm = 2
        where = protocol.address(self.options.name, channel)
        try:
            socket.bind(where)
        except zmq.ZMQError as error:
            raise DriverError(f"Cell '{self.options.name}': {where} is taken ({error}).") from error
        return socket

    def _make(self, scene: SceneSpec, **start: Any) -> Cell:
        size = (self.options.width, self.options.height)
        return Cell(scene, *size, time_scale=self.options.speed, **start)

    def _install(self, cell: Cell, task: TaskSpec) -> None:
        referee = Referee(cell, task)
        with self._lock:
            self.cell, self.task, self.referee = cell, task, referee

    def stop(self) -> None:
        """Make :meth:`run` return; may be called from a signal handler."""
        self._running = False

    # -- time and the arm -----------------------------------------------------------------------

    def run(self) -> None:
        """Keep time until :meth:`stop`."""
        for thread in self._threads:
            thread.start()
        due = time.monotonic()
        owed = 0.0
        while self._running:
            due += TICK
            self._wait(due)
            now = time.monotonic()
            if now - due > TOO_LATE:
                due = now
            owed += TICK * self.options.speed
            with self._lock:
                step = self.cell.model.opt.timestep
                whole = int(owed / step + 1e-6) * step
                self.cell.step(whole)
                owed -= whole
                state = self.cell.arm_state()
                holding = self.cell.holding
            stamped = type(state)(time.time(), state.positions, state.velocities, state.gripper)
            self._states.send(protocol.pack_state(stamped, holding))
        for thread in self._threads:
            thread.join(3.0)
        for socket in (self._commands, self._states):
            socket.close()
        self._context.term()
        self._lock_file.close()

    def _wait(self, due: float) -> None:
        """Take commands until `due` (monotonic seconds)."""
        while True:
            left = due - time.monotonic()
            # poll() counts whole milliseconds: round up, or the last part is spent spinning.
            if not self._commands.poll(max(0, int(left * 1000 + 0.999))):
                return
            self._take(self._commands.recv())
            if left <= 0:
                return

    def _take(self, data: bytes) -> None:
        try:
            message = protocol.unpack(data)
            if abs(time.time() - message["t"]) > MAX_COMMAND_AGE:
                return
            with self._lock:
                if message["do"] == "stop":
                    self.cell.stop()
                else:
                    self.cell.command(protocol.unpack_command(message))
        except (HierarchyError, KeyError, TypeError, ValueError) as error:
            print(f"cell: command ignored: {error}", flush=True)

    # -- cameras --------------------------------------------------------------------------------

    def _see(self) -> None:
        socket = self._context.socket(zmq.XPUB)
        socket.linger, socket.sndhwm = 0, 1
        socket.bind(protocol.address(self.options.name, "camera"))
        wanted: set[str] = set()
        eye: Eye | None = None
        seen: Cell | None = None
        period = 1 / self.options.rate
        due = time.monotonic()
        while self._running:
            due = max(due + period, time.monotonic() - period)
            while socket.poll(max(0, int((due - time.monotonic()) * 1000 + 0.999))):
                _note(socket.recv(), wanted)
                if time.monotonic() >= due:
                    break
            if not wanted or time.monotonic() < self._blind_until:
                continue
            cell = self.cell
            if cell is not seen:
                if eye is not None:
                    eye.close()
                size = (self.options.width, self.options.height)
                eye, seen = Eye(cell.model, *size, cell.camera_poses), cell
            # Only now: making an eye takes long enough for a state to grow old.
            with self._lock:
                qpos, stamp = cell.qpos(), time.time()
            for camera in sorted(wanted & set(cell.scene.cameras)):
                assert eye is not None
                socket.send(protocol.pack_frame(camera, eye.capture(qpos, stamp, camera)))
        if eye is not None:
            eye.close()
        socket.close()

    # -- the referee ----------------------------------------------------------------------------

    def _judge(self) -> None:
        socket = self._context.socket(zmq.REP)
        socket.linger = 0
        socket.bind(protocol.address(self.options.name, "referee"))
        while self._running:
            if not socket.poll(100):
                continue
            try:
                answer = self._answer(protocol.unpack(socket.recv()))
            except (HierarchyError, KeyError, TypeError, ValueError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            socket.send(protocol.pack({"v": protocol.VERSION} | answer))
        socket.close()

    def _answer(self, message: dict[str, Any]) -> dict[str, Any]:
        token = str(message.get("token", ""))
        if not hmac.compare_digest(token.encode(), self.options.token.encode()):
            return {"error": "wrong referee token"}
        verbs = {
            "reset": self._reset,
            "verdict": self._verdict,
            "perturb": self._perturb,
            "blind": self._blind,
        }
        verb = message.get("do")
        if verb not in verbs:
            return {"error": f"unknown request '{verb}'; valid: {', '.join(sorted(verbs))}"}
        return verbs[verb](message)

    def _reset(self, message: dict[str, Any]) -> dict[str, Any]:
        if message.get("scene") is not None:
            scene = SceneSpec.from_dict(message["scene"])
            task = TaskSpec.from_dict(message["task"])
        else:
            scene, task = sample(message["family"], int(message["seed"]), message["axis"])
        with self._lock:
            state, height = self.cell.arm_state(), float(self.cell.tool_position()[2])
        # The arm stays where it is while somebody lays the table, unless it is in the way.
        kept = height >= SAFE_HEIGHT
        start = {"joints": state.positions, "gripper": state.gripper} if kept else {}
        self._install(self._make(scene, **start), task)
        return {"task": task.to_dict(), "scene": scene.to_dict(), "arm_kept": kept}

    def _verdict(self, _: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            verdict = self.referee.verdict()
        return {"success": verdict.success, "reason": verdict.reason}

    def _perturb(self, message: dict[str, Any]) -> dict[str, Any]:
        x, y, z = (float(v) for v in message["position"])
        with self._lock:
            self.cell.move_object(message["name"], (x, y, z), float(message.get("yaw", 0.0)))
        return {}

    def _blind(self, message: dict[str, Any]) -> dict[str, Any]:
        self._blind_until = time.monotonic() + float(message["seconds"])
        return {}


def _note(subscription: bytes, wanted: set[str]) -> None:
    """Keep book of the cameras that somebody listens to."""
    camera = subscription[1:].rstrip(b"\0").decode(errors="replace")
    (wanted.add if subscription[:1] == b"\x01" else wanted.discard)(camera)


def _claim(name: str) -> Any:
    """Hold the name for as long as this process lives; a dead one's claim is gone by itself."""
    if name.startswith("tcp://"):
        protocol.address(name, "arm")
        key = name.removeprefix("tcp://").replace(":", "_")
    else:
        key = name
        protocol.address(name, "arm")
    path = protocol.runtime_folder() / f"{key}.lock"
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise DriverError(
            f"A cell named '{name}' is already running (process {owner}); choose another --name."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
