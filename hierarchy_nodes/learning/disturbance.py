"""What goes wrong in an episode: unsteady hands, shoves, slips, things that move, people who speak.

A backend round another one, so that demonstrations, learned policies and baselines meet the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from transforms3d import quaternions
from transforms3d.euler import euler2quat

from hardware.cell.cell import Cell
from hardware.cell.tasks import TaskSpec
from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.learning.variation import Variation, movable
from hierarchy_nodes.types import ActionChunk, LanguageMotion, Observation

# The arm is called 20 times a second: seconds between two calls at most, and how fast the noise
# wanders; it comes in bursts, so that fine work is done sooner or later.
_WANDER, _BURST, _CALM = 0.4, (0.4, 1.5), (0.5, 2.0)
_YAW_PER_METRE = 8.0
_SHOVE_TIME, _PAUSE, _DROP_TIME = 0.35, (0.2, 0.6), 0.45
_FLOOR = 0.004


class Disturbed(ControllerBackend):
    """Asks `inner` and passes its chunks on, distorted.

    Args:
        inner: Who acts.
        cell: In which things are moved.
        task: What may be moved.
        variation: What happens when.
        rng: Of the noise.
        speak: Where corrections go; its argument is stamped.

    Attributes:
        happened: In words, with the time, for reports.
    """

    def __init__(
        self,
        inner: ControllerBackend,
        cell: Cell,
        task: TaskSpec,
        variation: Variation,
        rng: np.random.Generator,
        speak: Callable[[LanguageMotion], None],
    ) -> None:
        super().__init__(inner.options)
        self.inner, self._cell, self._task = inner, cell, task
        self._variation, self._rng, self._speak = variation, rng, speak
        self.happened: list[tuple[float, str]] = []
        self._began: float | None = None
        self._last = 0.0
        self._noise = np.zeros(4)
        self._burst_until = self._calm_until = -math.inf
        self._pauses = list(variation.pauses)
        self._paused_until = -math.inf
        self._shove = variation.shove
        self._shoved_at: float | None = None
        self._move = variation.move
        self._held_since: float | None = None
        self._drop = variation.drop
        self._dropped_until = -math.inf
        self._corrections = list(variation.corrections)

    def reset(self) -> None:
        self.inner.reset()

    def act(self, observation: Observation) -> Step:
        o = observation
        if o.plan.path and self._began is None:
            self._began = self._last = o.now
        step = self.inner.act(o)
        if self._began is None or not o.plan.path:
            return step
        elapsed = o.now - self._began
        self._speak_up(o, elapsed)
        self._move_thing(o, elapsed)
        if step.chunk is None:
            return step
        chunk = self._distort(step.chunk, o, elapsed)
        self._last = o.now
        return replace(step, chunk=chunk)

    def _note(self, now: float, what: str) -> None:
        self.happened.append((now, what))

    def _speak_up(self, o: Observation, elapsed: float) -> None:
        if self._corrections and elapsed >= self._corrections[0][0]:
            _, motion = self._corrections.pop(0)
            self._note(o.now, "correction")
            self._speak(stamped(motion, o.now, f"{o.plan.plan_id}-{len(self._corrections)}"))

    def _move_thing(self, o: Observation, elapsed: float) -> None:
        if self._move is None or elapsed < self._move:
            return
        if elapsed > self._move + 2.0:
            self._move = None
            return
        found = movable(self._cell, self._task, self._rng)
        if found is None:
            return
        self._move = None
        name, (x, y, z) = found
        yaw = math.atan2(*self._cell.data.body(name).xmat[[3, 0]])
        yaw += float(self._rng.uniform(-0.5, 0.5))
        self._cell.move_object(name, (float(x), float(y), float(z)), yaw)
        self._note(o.now, f"moved {name}")

    def _distort(self, chunk: ActionChunk, o: Observation, elapsed: float) -> ActionChunk:
        positions, turned, gripper = chunk.positions, chunk.quaternions, chunk.gripper
        if self._pausing(o, elapsed):
            positions = np.repeat(o.robot.tool.position[None], len(positions), axis=0)
            turned = np.repeat(o.robot.tool.quaternion[None], len(positions), axis=0)
        offset = self._wander(o.now)
        position = offset[:3] + self._shoving(o, elapsed)
        positions = positions + position
        # The table stops a hand, too: never lower than what was asked for.
        floor = np.minimum(chunk.positions[:, 2], _FLOOR)
        positions[:, 2] = np.maximum(positions[:, 2], floor)
        if offset[3]:
            spin = euler2quat(0.0, 0.0, float(offset[3]))
            turned = np.array([quaternions.qmult(spin, q) for q in turned])
        if self._slipping(o):
            gripper = np.ones_like(gripper)
        return replace(chunk, positions=positions, quaternions=turned, gripper=gripper)

    def _wander(self, now: float) -> np.ndarray:
        """``(4,)`` metres and radians: an Ornstein-Uhlenbeck process that comes in bursts."""
        scale = self._variation.noise
        if scale <= 0:
            return self._noise
        if now > self._calm_until:
            self._burst_until = now + float(self._rng.uniform(*_BURST))
            self._calm_until = self._burst_until + float(self._rng.uniform(*_CALM))
        dt = min(max(now - self._last, 0.0), 0.1)
        decay = math.exp(-dt / _WANDER)
        self._noise = self._noise * decay
        if now < self._burst_until:
            sigma = scale * np.array([1.0, 1.0, 1.0, _YAW_PER_METRE])
            self._noise = self._noise + sigma * math.sqrt(1 - decay**2) * self._rng.normal(size=4)
        return self._noise

    def _pausing(self, o: Observation, elapsed: float) -> bool:
        if self._pauses and elapsed >= min(self._pauses):
            self._pauses.remove(min(self._pauses))
            self._paused_until = o.now + float(self._rng.uniform(*_PAUSE))
            self._note(o.now, "pause")
        return o.now < self._paused_until

    def _shoving(self, o: Observation, elapsed: float) -> np.ndarray:
        if self._shove is not None and elapsed >= self._shove[0]:
            self._shoved_at, self._push = o.now, self._shove[1]
            self._shove = None
            self._note(o.now, "shove")
        if self._shoved_at is None or o.now > self._shoved_at + _SHOVE_TIME:
            return np.zeros(3)
        share = (o.now - self._shoved_at) / _SHOVE_TIME
        return self._push * math.sin(math.pi * share)

    def _slipping(self, o: Observation) -> bool:
        held = 0.03 < o.robot.gripper < 0.93 and o.robot.tool.position[2] > 0.08
        self._held_since = (self._held_since or o.now) if held else None
        held_for = 0.0 if self._held_since is None else o.now - self._held_since
        if self._drop is not None and held_for > self._drop:
            self._drop = None
            self._dropped_until = o.now + _DROP_TIME
            self._note(o.now, "drop")
        return o.now < self._dropped_until


def stamped(motion: LanguageMotion, now: float, name: str) -> LanguageMotion:
    """`motion`, drawn without a time, as said now."""
    until = now + motion.valid_until
    return replace(motion, stamp=now, valid_until=until, correction_id=name)
