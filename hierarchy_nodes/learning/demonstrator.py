"""Records what the expert would do in every state that whoever acts comes into."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.controller.base import ControllerBackend, Step
from hierarchy_nodes.controller.diffusion.features import POINTS, ROLES, Extractor
from hierarchy_nodes.controller.diffusion.points import sample_points
from hierarchy_nodes.learning.expert import Expert
from hierarchy_nodes.learning.motions import name_motion
from hierarchy_nodes.types import Array, Observation, RgbdFrame

# Of the controller's calls, 20 a second, every fourth is kept: 5 records a second.
EVERY, RATE = 4, 5
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

    Args:
        expert: The teacher.
        actor: Who acts; default: the teacher itself.
        seed: Of the points that are drawn from each image.
        pictures: Keep the images.

    Attributes:
        records: So far.
    """

    def __init__(
        self,
        expert: Expert,
        actor: ControllerBackend | None = None,
        seed: int = 0,
        pictures: bool = False,
    ) -> None:
        super().__init__(expert.options)
        self.expert, self.actor = expert, actor
        self.records: list[Record] = []
        self._extractor = Extractor()
        self._seed, self._pictures = seed, pictures
        self._calls = 0
        self._done_since: float | None = None

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
                rng = np.random.default_rng(seed)
                plain = sample_points(o.frame, o.robot, None, ROLES, POINTS, rng)
                arrays = features.arrays()
                arrays |= {"plain_points": plain[0], "plain_colors": plain[1]}
                self._keep(o, arrays, features.text, rows)
            self._calls += 1
        if self.actor is not None:
            return self.actor.act(o)
        return self._lingering(step, o.now)

    def _keep(self, o: Observation, arrays: dict[str, NDArray], text: str, rows: Array) -> None:
        tool = np.concatenate([o.robot.tool.position, o.robot.tool.quaternion])
        self.records.append(
            Record(
                features=arrays,
                text=text,
                chunk=rows.astype(np.float32),
                done=self.expert.done,
                motion=name_motion(tool, o.robot.gripper, rows),
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
