"""Images with instructions as batches of tensors, varied a little each time they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor
from transforms3d.quaternions import mat2quat

from hardware.cell.eye import intrinsics
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.geometry import on_plane
from hierarchy_nodes.learning.parallel import spread
from hierarchy_nodes.learning.planner.images import files_of
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.compact.inputs import (
    BEFORE,
    HEIGHT,
    INTERACTIONS,
    PATH_POINTS,
    STATUSES,
    WIDTH,
)
from hierarchy_nodes.planner.compact.network import HEADINGS
from hierarchy_nodes.planner.compact.text import FIRST, NOTHING, UNKNOWN, Reader
from hierarchy_nodes.planner.compact.things import GEOMETRY, MOST, POINT, Things, crops_of, padded
from hierarchy_nodes.planner.drawing import work_end
from hierarchy_nodes.types import Gripper, Interaction, Pose

Batch = dict[str, Tensor]
_NAMES = [str(i) for i in INTERACTIONS]
# Parts of a batch that tell what is seen.
_LOOK = ("crops", "geometry", "shades", "seen")
# An item is seen as the thing with which it has more than this share of the smaller one's pixels.
_ENOUGH = 0.4
# The point of a knock's path from which it sweeps.
_SWEEP = 2


@dataclass(frozen=True)
class VariationOptions:
    """How images and words are varied in training."""

    place: float = param(0.03, "Noise on where things are and how large", low=0.0, high=1.0)
    gain: float = param(0.15, "Brightness and contrast", low=0.0, high=0.9)
    tint: float = param(0.06, "Each colour channel", low=0.0, high=0.5)
    noise: float = param(0.02, "Of each pixel, at most", low=0.0, high=0.5)
    word: float = param(0.05, "A word becomes unknown", low=0.0, high=1.0)
    color_word: float = param(0.3, "A colour word is known by its colour alone", low=0, high=1)


@dataclass(frozen=True)
class Task:
    """One instruction about one image, as in the data."""

    image: int
    values: dict[str, Any]


@dataclass(frozen=True)
class _Picture:
    """An image: the things that are seen, and which of them each item of the setting is, or -1."""

    things: Things
    seen_as: NDArray[np.int64]


class PlannerData:
    """What is seen in all images of a folder, and their instructions.

    Args:
        folder: Of ``images.collect_images``.
        least: Images that are needed; to keep some back takes two.
        workers: Processes that read.

    Raises:
        ConfigError: There are none, too few, or of another version.
    """

    def __init__(self, folder: Path, least: int = 2, workers: int = 0) -> None:
        self._pictures: list[_Picture] = []
        states: list[Any] = []
        self.tasks: list[Task] = []
        files = files_of(folder)
        # They come in any order.
        read = dict(spread(_read, files, workers))
        for path in files:
            for picture, state, tasks in read.pop(path):
                number = len(self._pictures)
                self._pictures.append(picture)
                states.append(state)
                self.tasks += [Task(number, values) for values in tasks]
        self._states = np.array(states, dtype=np.float32)
        if len(self._pictures) < least:
            few = f"{len(self._pictures)} images are too few"
            raise ConfigError(f"{folder}: {few}, {least} are needed.")
        self.images = len(self._pictures)
        self._of_image: list[list[int]] = [[] for _ in range(self.images)]
        for i, task in enumerate(self.tasks):
            self._of_image[task.image].append(i)

    def texts(self) -> list[str]:
        """All that is said."""
        return [
            " ".join([task.values["text"], *(c["phrase"] for c in task.values["corrections"])])
            for task in self.tasks
        ]

    def encode_words(self, vocabulary: list[str], length: int) -> None:
        """Number the words of all texts."""
        read = Reader(vocabulary, length)
        found = [
            read(
                task.values["text"],
                [(c["role"], c["phrase"]) for c in task.values["corrections"]],
            )
            for task in self.tasks
        ]
        self._ids = np.stack([text.ids for text in found])
        self._colors = np.stack([text.colors for text in found])
        self._segments = np.stack([text.segments for text in found])

    def split(self, held_out: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of images to learn from, and of images kept back."""
        order = np.random.default_rng(seed).permutation(self.images)
        count = min(max(1, round(held_out * self.images)), self.images - 1)
        return order[count:], order[:count]

    def batch(
        self,
        images: NDArray[np.int64],
        each: int,
        rng: np.random.Generator,
        vary: VariationOptions | None = None,
    ) -> Batch:
        """Images with up to `each` of their instructions.

        Returns:
            ``crops, geometry, shades, seen`` of K things an image, as ``CompactNetwork.see`` takes
            them (crops uint8); ``image_of`` ``(N,)``; inputs of the
            network ``ids, colors, segments, state, before``; answers ``roles`` ``(N, 3, K)``
            (each sums to 1, or is empty), ``wanted`` ``(N, 2)`` (whether a target and a goal are
            meant), ``status, interaction`` ``(N,)``, ``flags`` ``(N, 3)``, ``path``
            ``(N, P, 4)``, ``path_there`` ``(N, P)``, ``heading`` ``(N,)`` as :func:`heading_of`,
            ``work_end`` ``(N,)`` the place of the point where the work ends.
        """
        pictures = [self._pictures[int(number)] for number in images]
        # As many things and words as there are in this batch.
        most = max(1, *(len(picture.things.crops) for picture in pictures))
        looks: list[tuple[NDArray, ...]] = []
        rows: list[dict[str, NDArray]] = []
        of: list[int] = []
        for place, number in enumerate(images):
            things = pictures[place].things
            looks.append(padded(_varied(things, rng, vary) if vary else things, most))
            tasks = self._of_image[int(number)]
            chosen = rng.permutation(len(tasks))[:each] if vary else range(min(each, len(tasks)))
            for k in chosen:
                rows.append(self._row(tasks[int(k)], rng, vary))
                of.append(place)
        found = {name: torch.from_numpy(np.stack([r[name] for r in rows])) for name in rows[0]}
        for name, parts in zip(_LOOK, zip(*looks, strict=True), strict=True):
            found[name] = torch.from_numpy(np.stack(parts))
        found["image_of"] = torch.tensor(of)
        found["roles"] = found["roles"][..., :most]
        longest = max(1, int((found["ids"] != NOTHING).sum(1).max()))
        return found | {name: found[name][:, :longest] for name in ("ids", "colors", "segments")}

    def _row(
        self,
        index: int,
        rng: np.random.Generator,
        vary: VariationOptions | None,
    ) -> dict[str, NDArray]:
        task = self.tasks[index]
        values = task.values
        picture = self._pictures[task.image]
        groups = (values["targets"], [values["goal"]], values["avoid"])
        roles = np.stack([_shares(picture, [i for i in g if i >= 0]) for g in groups])
        state = self._states[task.image].copy()
        path = np.zeros((PATH_POINTS, 4), dtype=np.float32)
        there = np.zeros(PATH_POINTS, dtype=np.float32)
        drawn = np.array(values["path"], dtype=np.float32).reshape(-1, 4)
        path[: len(drawn)], there[: len(drawn)] = drawn, 1.0
        knocks = values["interaction"] == Interaction.KNOCK and len(drawn) > _SWEEP + 1
        heading = heading_of(space(drawn, camera_of(state))) if knocks else 0
        ends = [Gripper(int(event)) for event in path[: max(len(drawn), 1), 3]]
        ids = self._ids[index]
        if vary:
            ids = self._forgetful(index, rng, vary)
        return {
            "ids": ids,
            "colors": self._colors[index],
            "segments": self._segments[index],
            "state": state,
            "before": _before(picture, values["before"]),
            "roles": roles,
            "wanted": np.array([bool(values["targets"]), values["goal"] >= 0]),
            "status": np.array(STATUSES.index(values["status"])),
            "interaction": np.array(_NAMES.index(values["interaction"])),
            "flags": np.array(
                [values["more"], values["goal"] >= 0, bool(values["avoid"])], dtype=np.float32
            ),
            "path": path,
            "path_there": there,
            "heading": np.array(heading),
            "work_end": np.array(work_end(Interaction(values["interaction"]), ends)),
            "index": np.array(index),
        }

    def _forgetful(
        self, index: int, rng: np.random.Generator, vary: VariationOptions
    ) -> NDArray[np.int64]:
        """Word numbers, some of them unknown: what is then left must do."""
        ids = self._ids[index].copy()
        draw = rng.random(len(ids))
        colored = self._colors[index][:, 0] > 0
        lost = draw < np.where(colored, vary.color_word, vary.word)
        ids[lost & (ids >= FIRST)] = UNKNOWN
        return ids


def camera_of(state: NDArray) -> Pose:
    """The camera's pose out of ``inputs.state_of``."""
    x, z = state[10:13].astype(float), state[13:16].astype(float)
    rotation = np.stack([x, np.cross(z, x), z], axis=1)
    return Pose(state[7:10] * 0.2 + np.array([1.1, 0.0, 0.75]), mat2quat(rotation))


def heading_of(points: NDArray) -> int:
    """Which of the network's headings the sweep of a knock has; points ``(n, 3)``."""
    way = points[_SWEEP + 1] - points[_SWEEP]
    return 1 + round(float(np.arctan2(way[1], way[0])) / (np.pi / 4)) % (HEADINGS - 1)


def space(path: NDArray, camera: Pose) -> NDArray:
    """``(n, 4)`` x, y, height, event to ``(n, 3)`` points in the base frame."""
    lens = intrinsics(WIDTH, HEIGHT)
    return np.array([on_plane(float(x), float(y), lens, camera, float(z)) for x, y, z, _ in path])


def _read(path: Path) -> tuple[Path, list[tuple[_Picture, Any, Any]]]:
    """A file, and of each image in it the things, the state then, and the tasks."""
    rows = pq.read_table(path).to_pylist()
    return path, [(_picture(path, row), row["state"], row["tasks"]) for row in rows]


def _picture(path: Path, row: dict[str, Any]) -> _Picture:
    """Of one row of a file."""
    try:
        image, things, regions = (
            cv2.imdecode(np.frombuffer(row[name]["bytes"], np.uint8), flag)
            for name, flag in (
                ("image", cv2.IMREAD_COLOR),
                ("things", cv2.IMREAD_GRAYSCALE),
                ("regions", cv2.IMREAD_GRAYSCALE),
            )
        )
        geometry = np.array(row["geometry"], np.float32).reshape(-1, GEOMETRY)
    except (KeyError, ValueError, cv2.error) as error:
        raise ConfigError(f"{path}: of another version ({error}); collect it anew.") from error
    if image is None or things is None or regions is None:
        raise ConfigError(f"{path}: an image cannot be decoded; collect it anew.")
    color = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
    masks = [regions == i + 1 for i in range(len(geometry))]
    # How many pixels of each item are taken for each thing.
    together = np.zeros((256, 256), np.int64)
    np.add.at(together, (things.astype(int), regions.astype(int)), 1)
    shared = together[1 : len(row["labels"]) + 1, 1 : len(geometry) + 1]
    seen_as = np.full(len(row["labels"]), -1)
    if shared.size:
        smaller = np.minimum(
            np.bincount(things.ravel(), minlength=256)[1 : len(shared) + 1, None],
            np.array([mask.sum() for mask in masks]),
        )
        best = shared.argmax(1)
        enough = shared.max(1) > _ENOUGH * np.take_along_axis(smaller, best[:, None], 1)[:, 0]
        seen_as = np.where(enough, best, -1)
    return _Picture(Things(crops_of(color, masks), geometry), seen_as)


def _varied(things: Things, rng: np.random.Generator, vary: VariationOptions) -> Things:
    """As another camera sees them, and another look at the same depth measures them."""
    gain = 1 + rng.uniform(-vary.gain, vary.gain) + rng.uniform(-vary.tint, vary.tint, 3)
    shift = 255 * rng.uniform(-0.3, 0.3) * vary.gain
    crops = things.crops.copy()
    colors = crops[:, :3].astype(np.float32) * gain[:, None, None].astype(np.float32)
    noise = np.float32(255 * vary.noise * rng.random())
    colors += noise * rng.standard_normal(colors.shape, dtype=np.float32) + np.float32(shift)
    crops[:, :3] = np.clip(colors, 0, 255)
    geometry = things.geometry.copy()
    geometry[:, :8] += vary.place * rng.standard_normal(geometry[:, :8].shape, dtype=np.float32)
    return Things(crops, geometry)


def _shares(picture: _Picture, items: list[int]) -> NDArray[np.float32]:
    """``(MOST,)``: equal shares of the things that the items are seen as."""
    found = np.zeros(MOST, np.float32)
    for thing in picture.seen_as[items]:
        if thing >= 0:
            found[thing] = 1.0
    return found / max(float(found.sum()), 1.0)


def _before(picture: _Picture, before: list[int]) -> NDArray[np.float32]:
    """As ``inputs.before_of``: a pixel of what the last plan was about."""
    found = np.zeros(BEFORE, dtype=np.float32)
    for i, item in enumerate(before):
        thing = picture.seen_as[item] if item >= 0 else -1
        if thing >= 0:
            found[3 * i : 3 * i + 3] = *picture.things.geometry[thing, POINT], 1.0
    return found
