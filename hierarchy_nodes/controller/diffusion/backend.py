"""The diffusion policy as a controller: a stateless network, and the little that is remembered."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion.features import CHANNELS, TIMES, Extractor, Features
from hierarchy_nodes.controller.diffusion.fingers import Fingers
from hierarchy_nodes.controller.diffusion.obeying import obeyed
from hierarchy_nodes.controller.diffusion.phases import HELD, phase_of
from hierarchy_nodes.controller.diffusion.whereabouts import Whereabouts
from hierarchy_nodes.controller.path_follower import REACH, PathFollower, PathFollowerOptions
from hierarchy_nodes.errors import ConfigError, ErrorCode
from hierarchy_nodes.parameters import param
from hierarchy_nodes.robot_filter import default_filter
from hierarchy_nodes.types import (
    ActionChunk,
    Array,
    Interaction,
    LanguageMotion,
    Observation,
    Plan,
    Role,
    Segment,
)

try:
    import torch

    from hierarchy_nodes.controller.diffusion.policy import Answer, Policy, View
    from hierarchy_nodes.controller.diffusion.warm import (
        Last,
        LatencyMeter,
        prefix_weights,
        why_cold,
    )
    from hierarchy_nodes.controller.diffusion.weights import default_path
except ImportError as error:
    raise ConfigError(
        f"controller 'diffusion' needs {error.name}. Install it: pip install torch safetensors "
        "onnx onnxruntime (a CPU build of torch is enough), or choose controller 'path_follower'."
    ) from error


@dataclass(frozen=True)
class DiffusionOptions:
    """Weights, how chunks are sampled, and what happens where that does not work."""

    weights: str = param("", "Weights file; empty for the one that comes with the package")
    mode: str = param(
        "warm",
        "warm: few steps from the last chunk; cold: from noise; full: every trained level",
        choices=("warm", "cold", "full"),
    )
    warm_steps: int = param(2, "Denoising steps of a warm start", low=1, high=1000)
    warm_level: float = param(
        0.4, "Noise put on the last chunk, as a share of the trained levels", low=0.01, high=1.0
    )
    cold_steps: int = param(10, "Denoising steps of a cold start", low=1, high=1000)
    tolerance: float = param(
        0.0, "Stop denoising when two predictions differ by less; 0 never", low=0.0, high=2.0
    )
    temperature: float = param(
        1.0, "Size of the noise to start from; less draws likelier chunks", low=0.0, high=2.0
    )
    stride: float = param(
        0.0, "Time of a chunk that is executed before the next is sampled; 0: one an observation",
        unit="s", low=0.0, high=1.5,
    )  # fmt: skip
    guidance: float = param(
        1.0, "How much louder a shouted correction is than a remark; 0: all alike", low=0, high=4
    )
    obey: bool = param(True, "Add to a chunk what the policy leaves undone of a correction")
    channels: list[str] = param(list(CHANNELS), "What is looked at; the rest counts as missing")
    prefix: bool = param(True, "Keep the actions that are executed while a chunk is computed")
    latency: float = param(
        -1.0, "From an observation's stamp to the use of its chunk; negative: as measured",
        unit="s", low=-1.0, high=1.0,
    )  # fmt: skip
    transport: float = param(
        0.0, "From a chunk's end to its use by the arm, beyond what is measured here",
        unit="s", low=0.0, high=1.0,
    )  # fmt: skip
    threads: int = param(1, "Of the network in this process", low=1, high=64)
    compiled: bool = param(True, "Run the network in ONNX Runtime: the same numbers, sooner")
    done_threshold: float = param(0.5, "Probability that counts as finished", low=0.0, high=1.0)
    done_count: int = param(4, "Chunks in a row that must say so", low=1, high=100)
    press_depth: float = param(
        0.009, "A press that went less deep has failed", unit="m", low=0.0, high=0.05
    )
    stuck_timeout: float = param(
        4.0, "Time without moving before failing", unit="s", low=0.5, high=60.0
    )
    nowhere_timeout: float = param(
        5.0, "Time without getting anywhere new before failing", unit="s", low=0.5, high=600.0
    )
    time_limit: float = param(45.0, "For one plan", unit="s", low=1.0, high=600.0)
    lost_timeout: float = param(
        3.0, "Time without frame, masks or target before failing", unit="s", low=0.1, high=60.0
    )
    fallback: str = param(
        "hold",
        "Where the policy breaks down: hold, or hold and then follow the path without it",
        choices=("hold", "path_follower"),
    )
    fallback_after: float = param(
        0.5, "Time held before the fallback or failing", unit="s", low=0.0, high=10.0
    )
    retry: str = param(
        "path_follower",
        "Who follows the next plan for a step that the policy got stuck with; a policy that looks "
        "at no path always does",
        choices=("path_follower", "policy"),
    )


class DiffusionController(ControllerBackend):
    """Asks the network at every observation.

    Attributes:
        latency: Measured time of a chunk; others may add what they measured.
        why_cold: Why the newest chunk was sampled from noise; empty if it was not.
        answer: The newest, for those who watch.

    Raises:
        ConfigError: Weights are missing or broken, or the options ask for more steps than the
            network was trained with.
    """

    Options = DiffusionOptions
    options: DiffusionOptions

    def __init__(self, options: DiffusionOptions) -> None:
        super().__init__(options)
        torch.set_num_threads(options.threads)
        # Its cloud has as many points as the policy looks at.
        self._extractor = Extractor(self._load(options))
        default_filter()
        self.latency = LatencyMeter()
        # Corrections without a plan, and what is left to do when the policy breaks down.
        self._follower = PathFollower(PathFollowerOptions())
        self.reset()

    def _load(self, o: DiffusionOptions) -> int:
        """Make ready what chunks are sampled with; returns how many points it looks at."""
        path = Path(o.weights) if o.weights else default_path()
        self.policy = Policy.load(path, tuple(o.channels), o.compiled)
        self._warm_start = self.policy.schedule.level(o.warm_level)
        self.policy.check_steps("warm_steps", o.warm_steps, self._warm_start)
        self.policy.check_steps("cold_steps", o.cold_steps)
        self.policy.rehearse(self._warm_start, o.warm_steps)
        return self.policy.config.network.points

    def reset(self) -> None:
        self._extractor.reset()
        self._follower.reset()
        self._last: Last | None = None
        self._seed = 0
        self._following = False
        self.why_cold = ""
        self.answer: Answer | None = None
        self._served: LanguageMotion | None = None
        self._stuck_with: str | None = None
        self._new_plan(None, 0.0)

    def act(self, observation: Observation) -> Step:
        begin = time.perf_counter()
        o, now = observation, observation.robot.stamp
        if o.plan.plan_id != self._plan_id:
            self._new_plan(o.plan, now)
        if o.plan.path and o.plan.interaction == Interaction.NONE:
            # A mere way, of which there is nothing to be learned.
            return self._follower.act(o)
        if not o.plan.path or self._following or self._ended is not None:
            return self._without_policy(o)
        waiting = self._wait(o, now)
        if waiting is not None:
            return waiting
        try:
            step = self._think(o, now)
        except (RuntimeError, ValueError, FloatingPointError) as error:
            return self._broken(o, now, f"{type(error).__name__}: {error}")
        self._broken_since = math.inf
        self.latency.add(time.perf_counter() - begin)
        return step

    def _new_plan(self, plan: Plan | None, now: float) -> None:
        self._plan_id = plan.plan_id if plan is not None else None
        self._began = now
        self._whereabouts = Whereabouts()
        self._fingers = Fingers()
        self._finished = 0
        self._ended: Step | None = None
        self._broken_since = math.inf
        self._target_seen: tuple[float, Segment] | None = None
        self._following = False
        if plan is not None and plan.path:
            self._following = plan.subtask == self._stuck_with
            self._stuck_with = None
        if self._served is not None:
            # Obeyed already, before there was a plan.
            self._extractor.account.skip(self._served)
            self._served = None

    # The network

    def _think(self, o: Observation, now: float) -> Step:
        self._seed = (self._seed + 1) % 2**31
        # Where masks do not count, they must not decide which points are drawn either.
        seen = o if self.policy.looks_at("masks") else replace(o, segments=None)
        features = self._extractor(seen, self._seed)
        remaining = self._extractor.remaining
        guidance = 1.0
        if remaining is not None:
            guidance = 1.0 + self.options.guidance * (remaining.weight - 1.0)
        view = self.policy.see(features, guidance)
        answer = self._sample(o, now, view, features)
        if not np.isfinite(answer.chunk).all():
            raise FloatingPointError("the network's chunk is not finite")
        self.answer = answer
        low, high = np.array(REACH).T
        answer.chunk[:, :3] = np.clip(answer.chunk[:, :3], low, high)
        end = self._judge(o, now, view, remaining is not None)
        progress = float(features.path_passed.sum() / max(features.path_there.sum(), 1.0))
        if end is not None:
            self._ended = end
            return Step(self._still(o), end.phase, end.state, progress, end.message, end.code)
        target = self._target_seen[1] if self._target_seen is not None else None
        top = None
        if target is not None:
            top = target.centroid + np.array([0.0, 0.0, target.size[2] / 2])
        robot = o.robot
        phase = phase_of(answer.chunk, robot.tool.position, robot.gripper, o.plan.interaction, top)
        message = ""
        if remaining is not None and o.motion is not None:
            message = f"correction: {o.motion.text}"
        chunk = answer.chunk
        if remaining is None:
            chunk = self._fingers.waited_for(chunk, robot.gripper, now)
        else:
            self._fingers.move_on()
        return Step(self._pack(o, chunk), phase, "busy", progress, message)

    def _sample(self, o: Observation, now: float, view: View, features: Features) -> Answer:
        options = self.options
        target = features.things[0, :3].astype(float) if features.things_there[0] else None
        corrected, remaining = self._extractor.account.key, self._extractor.remaining
        elapsed = (now - self._last.stamp) * o.speed if self._last is not None else 0.0
        self.why_cold = why_cold(
            self._last,
            now,
            elapsed,
            o.plan.plan_id,
            corrected,
            o.robot.tool.position,
            o.robot.gripper,
            target,
        )
        guess = prefix = weights = None
        last = self._last
        if last is not None:
            guess = self.policy.shifted(last.chunk, elapsed)
            if elapsed < options.stride and not self.why_cold:
                return Answer(guess, 0)
            jumped = self.why_cold.startswith(("gap", "tool"))
            if options.prefix and not jumped:
                weights = prefix_weights(self._late(o) * o.speed)
                prefix = guess if weights is not None else None
        common: dict[str, Any] = {
            "prefix": prefix,
            "weights": weights,
            "tolerance": options.tolerance,
            "temperature": options.temperature,
            "seed": self._seed,
        }
        if options.mode == "full":
            answer = self.policy.act(view, steps=self.policy.schedule.levels, **common)
        elif options.mode == "cold" or self.why_cold:
            answer = self.policy.act(view, steps=options.cold_steps, **common)
        else:
            answer = self.policy.act(
                view, steps=options.warm_steps, guess=guess, start=self._warm_start, **common
            )
        if remaining is not None and options.obey:
            chunk = obeyed(answer.chunk, o.robot.tool.position, remaining, weights)
            answer = replace(answer, chunk=chunk)
        self._last = Last(answer.chunk, now, o.plan.plan_id, corrected, o.robot.gripper, target)
        return answer

    def _late(self, o: Observation) -> float:
        """Seconds from the observation until the arm uses the chunk that is being made."""
        if self.options.latency >= 0:
            return self.options.latency
        age = max(0.0, o.now - o.robot.stamp)
        return self.latency.seconds + age + self.options.transport

    # Ends

    def _judge(self, o: Observation, now: float, view: View, corrected: bool) -> Step | None:
        """Whether the task is over, one way or the other."""
        options = self.options
        sure = view.done > options.done_threshold and not corrected
        self._finished = self._finished + 1 if sure else 0
        if self._finished >= options.done_count:
            pressed = self._extractor.done.pressed
            if o.plan.interaction == Interaction.PRESS and pressed < options.press_depth:
                return self._stuck(o, f"pressed by only {pressed * 1e3:.0f} mm")
            return Step(None, "done", "done", 1.0)
        where = self._whereabouts
        if corrected or o.speed <= 0:
            where.forget()
        where.see(o.robot.tool.position, o.robot.gripper, now, o.speed)
        if where.still > options.stuck_timeout:
            return self._stuck(o, f"the arm has not moved for {options.stuck_timeout:g} s")
        if where.nowhere > options.nowhere_timeout:
            text = f"the arm comes and goes: nowhere new for {options.nowhere_timeout:g} s"
            return self._stuck(o, text)
        if now - self._began > options.time_limit / max(o.speed, 0.1):
            return self._stuck(o, f"not finished within {options.time_limit:g} s")
        return self._lost(o, now)

    def _stuck(self, o: Observation, text: str) -> Step:
        """Failed; where the path can be followed without the policy, the next plan is."""
        if self.options.retry == "path_follower" and self.policy.looks_at("path"):
            self._stuck_with = o.plan.subtask
        return Step(None, "", "failed", 0.0, text, ErrorCode.CONTROLLER_STUCK)

    def _lost(self, o: Observation, now: float) -> Step | None:
        """Failed where the target went out of sight while nothing held or hid it."""
        segments = o.segments
        target = None
        if segments is not None and segments.plan_id == o.plan.plan_id:
            target = segments.role(Role.TARGET)
        if target is None:
            return None
        if not target.lost:
            self._target_seen = (now, target)
            return None
        since, seen = self._target_seen or (self._began, target)
        hidden = np.linalg.norm(seen.centroid[:2] - o.robot.tool.position[:2]) < 0.12
        if hidden or HELD[0] < o.robot.gripper < HELD[1]:
            self._target_seen = (now, seen)
            return None
        if now - since <= self.options.lost_timeout:
            return None
        text = f"lost sight of {target.label}"
        return Step(None, "", "failed", 0.0, text, ErrorCode.TARGET_LOST)

    def _wait(self, o: Observation, now: float) -> Step | None:
        """Held, and then failed, while a frame or the plan's masks have not come."""
        wanted = {p.role for p in o.plan.prompts} & {Role.TARGET, Role.GOAL}
        seen = o.segments is not None and o.segments.plan_id == o.plan.plan_id
        if o.frame is not None and (seen or not wanted):
            return None
        what = "a camera frame" if o.frame is None else "the plan's segments"
        if now - self._began > self.options.lost_timeout:
            self._ended = Step(
                None, "", "failed", 0.0, f"{what} did not come", ErrorCode.TARGET_LOST
            )
            return self._ended
        return Step(None, "", "holding", message=f"waiting for {what}")

    def _broken(self, o: Observation, now: float, why: str) -> Step:
        """Hold; then do without the network, or give up."""
        self._last = None
        self._broken_since = min(self._broken_since, now)
        if now - self._broken_since < self.options.fallback_after:
            return Step(None, "", "holding", message=f"policy broke down: {why}")
        if self.options.fallback == "path_follower":
            self._following = True
            self._follower.reset()
            return self._without_policy(o, f"following the path without the policy: {why}")
        self._ended = Step(
            None, "", "failed", 0.0, f"policy broke down: {why}", ErrorCode.BACKEND_FAILED
        )
        return self._ended

    def _without_policy(self, o: Observation, message: str = "") -> Step:
        """No plan, an ended one, or no working policy: the path follower knows what to do."""
        if self._following:
            step = self._follower.act(o)
            note = message or "following the path without the policy"
            told = f"{note}; {step.message}" if step.message else note
            return Step(step.chunk, step.phase, step.state, step.progress, told, step.code)
        account, motion = self._extractor.account, o.motion
        if motion is not None and account.knows(motion):
            motion = None
        plan = replace(o.plan, path=())
        idle = replace(o, plan=plan, segments=None, motion=motion)
        step = self._follower.act(idle)
        if step.state == "busy" and motion is not None:
            self._served = motion
        if step.state == "busy" or self._ended is None:
            return step
        return self._ended

    # Chunks

    def _still(self, o: Observation) -> ActionChunk:
        """Stay at the measured pose; the fingers keep what they were last told."""
        tool = np.concatenate([o.robot.tool.position, o.robot.tool.quaternion])
        grip = o.robot.gripper if self._last is None else self._last.chunk[0, 7]
        return self._pack(o, np.tile([*tool, grip], (len(TIMES), 1)))

    def _pack(self, o: Observation, chunk: Array) -> ActionChunk:
        return ActionChunk(
            stamp=o.robot.stamp,
            image_stamp=o.frame.stamp if o.frame is not None else 0.0,
            plan_id=o.plan.plan_id,
            times=TIMES,
            positions=chunk[:, :3],
            quaternions=chunk[:, 3:7],
            gripper=chunk[:, 7],
            source="diffusion",
        )
