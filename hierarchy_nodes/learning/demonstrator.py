"""Records what the expert would do in every state that whoever acts comes into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion.features import POINTS, ROLES, Extractor
from hierarchy_nodes.controller.diffusion.points import sample_points
from hierarchy_nodes.learning.expert import Expert
from hierarchy_nodes.learning.motions import MotionOptions, name_motion
from hierarchy_nodes.types import Array, Observation, RgbdFrame

# Of the controller's calls, 20 a second, every fourth is kept: 5 records a second.
EVERY, RATE = 4, 5
# Seconds for which the actor has the arm, and then the expert, who also brings it to an end.
_ACTOR_TURN, _EXPERT_TURN, _ACTOR_UNTIL = (1.5, 5.0), (0.4, 1.5), 15.0
# The end is told so much later, seconds, so that there are records of being done.
_LINGER = 0.8


@dataclass(frozen=True)
class Record:
    """One moment: the features, the expert's chunk ``(HORIZON, 8)``, and the picture."""

    features: dict[str, NDArray]
    text: str
    chunk: NDArray[np.float32]
    done: bool
    motion: str
    frame: RgbdFrame | None


class Demonstrator(ControllerBackend):
    """Lets `actor` act and records `expert`'s answer to the same observations.

    So a policy is shown what to do in the states that its own mistakes lead to (DAgger, Ross et
    al. 2011). Actor and expert take turns, and after a while only the expert acts.

    Args:
        expert: The teacher.
        actor: Who acts at first; default: the teacher itself.
        seed: Of the points that are drawn from each image, and of the turns.
        pictures: Keep the images.
        motions: From when on a movement has a name.

    Attributes:
        records: So far.
    """

    def __init__(
        self,
        expert: Expert,
        actor: ControllerBackend | None = None,
        seed: int = 0,
        pictures: bool = False,
        motions: MotionOptions | None = None,
    ) -> None:
        super().__init__(expert.options)
        self.expert, self.actor = expert, actor
        self.records: list[Record] = []
        self._extractor = Extractor()
        self._seed, self._pictures, self._motions = seed, pictures, motions
        self._calls = 0
        self._done_since: float | None = None
        self._turns = np.random.default_rng([seed, 3])
        self._began: float | None = None
        self._acting, self._turn_ends = False, -np.inf

    def reset(self) -> None:
        self.expert.reset()
        self._extractor.reset()
        if self.actor is not None:
            self.actor.reset()

    def act(self, observation: Observation) -> Step:
        o = observation
        seed = (self._seed * 1000 + self._calls) % 2**32
        features = self._extractor(o, seed=seed)
        step = self.expert.act(o)
        seen = o.segments is not None and o.segments.plan_id == o.plan.plan_id
        if o.plan.path and o.frame is not None and (seen or not o.plan.prompts):
            if self._calls % EVERY == 0 and step.chunk is not None:
                rows = np.concatenate(
                    [
                        step.chunk.positions,
                        step.chunk.quaternions,
                        step.chunk.gripper[:, None],
                    ],
                    axis=1,
                )
                plain = sample_points(o.frame, o.robot, None, ROLES, POINTS, seed)
                arrays = features.arrays()
                arrays |= {"plain_points": plain[0], "plain_colors": plain[1]}
                self._keep(o, arrays, features.text, rows)
            self._calls += 1
        step = self._lingering(step, o.now)
        if self.actor is None or not o.plan.path or not self._actors_turn(o.now):
            return step
        # Whether the task is over is for the expert to say.
        chunk = self.actor.act(o).chunk
        return step if chunk is None else replace(step, chunk=chunk)

    def _actors_turn(self, now: float) -> bool:
        self._began = now if self._began is None else self._began
        if now - self._began > _ACTOR_UNTIL:
            return False
        if now >= self._turn_ends:
            self._acting = not self._acting
            span = _ACTOR_TURN if self._acting else _EXPERT_TURN
            self._turn_ends = now + float(self._turns.uniform(*span))
        return self._acting

    def _keep(self, o: Observation, arrays: dict[str, NDArray], text: str, rows: Array) -> None:
        tool = np.concatenate([o.robot.tool.position, o.robot.tool.quaternion])
        self.records.append(
            Record(
                features=arrays,
                text=text,
                chunk=rows.astype(np.float32),
                done=self.expert.done,
                motion=name_motion(tool, o.robot.gripper, rows, self._motions),
                frame=o.frame if self._pictures else None,
            )
        )

    def _lingering(self, step: Step, now: float) -> Step:
        if step.state != "done":
            self._done_since = None
            return step
        if self._done_since is None:
            self._done_since = now
        return step if now - self._done_since > _LINGER else replace(step, state="busy")
