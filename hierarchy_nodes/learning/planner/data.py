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
from hierarchy_nodes.learning.planner.images import files_of
from hierarchy_nodes.learning.planner.naming import GENERIC
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.compact.inputs import (
    BEFORE,
    HEIGHT,
    INTERACTIONS,
    MAPS,
    PATH_POINTS,
    STATUSES,
    WIDTH,
)
from hierarchy_nodes.planner.compact.motion import motion_inputs, motion_label
from hierarchy_nodes.planner.compact.network import GRID, STRIDE
from hierarchy_nodes.planner.compact.text import FIRST, UNKNOWN, Reader
from hierarchy_nodes.planner.drawing import work_end
from hierarchy_nodes.types import Gripper, Interaction, Pose

Batch = dict[str, Tensor]
_NAMES = [str(i) for i in INTERACTIONS]


@dataclass(frozen=True)
class VariationOptions:
    """How images and words are varied in training."""

    zoom: float = param(0.08, "Images grow or shrink by at most", low=0.0, high=0.5)
    shift: float = param(0.05, "... and move by at most, in widths", low=0.0, high=0.5)
    gain: float = param(0.15, "Brightness and contrast", low=0.0, high=0.9)
    tint: float = param(0.06, "Each colour channel", low=0.0, high=0.5)
    noise: float = param(0.02, "Of each pixel, at most", low=0.0, high=0.5)
    blur: float = param(0.2, "Share of blurred images", low=0.0, high=1.0)
    word: float = param(0.03, "A word becomes unknown", low=0.0, high=1.0)
    color_word: float = param(0.3, "A colour word is known by its colour alone", low=0, high=1)
    noun: float = param(0.6, "'thing' becomes an unknown word", low=0.0, high=1.0)


@dataclass(frozen=True)
class Task:
    """One instruction about one image, as in the data."""

    image: int
    values: dict[str, Any]


class PlannerData:
    """All images of a folder, compressed in memory, and their instructions.

    Args:
        folder: Of ``images.collect_images``.

    Raises:
        ConfigError: There are none, or too few.
    """

    def __init__(self, folder: Path) -> None:
        self._pictures: list[tuple[bytes, bytes]] = []
        states: list[Any] = []
        self.tasks: list[Task] = []
        for path in files_of(folder):
            for row in pq.read_table(path).to_pylist():
                number = len(self._pictures)
                self._pictures.append((row["image"]["bytes"], row["things"]["bytes"]))
                states.append(row["state"])
                self.tasks += [Task(number, values) for values in row["tasks"]]
        self._states = np.array(states, dtype=np.float32)
        if len(self._pictures) < 2:
            raise ConfigError(f"{folder}: {len(self._pictures)} images are too few, 2 are needed.")
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
        numbers = {word: i + FIRST for i, word in enumerate(vocabulary)}
        self._generic = np.array([numbers[w] for w in GENERIC if w in numbers], dtype=np.int64)
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
            ``images`` ``(B, 3, 240, 320)`` uint8; ``image_of`` ``(N,)``; inputs of the network
            ``ids, colors, segments, state, before``; answers ``masks`` ``(N, 3, cells)`` (each
            sums to 1, or is empty), ``status, interaction`` ``(N,)``, ``flags`` ``(N, 3)``,
            ``path`` ``(N, P, 4)``, ``path_there`` ``(N, P)``, ``work_end`` ``(N,)`` the place of
            the point where the work ends; and of the motion ``motion``,
            ``signs, grip, way``.
        """
        pixels = np.empty((len(images), HEIGHT, WIDTH, 3), np.uint8)
        rows: list[dict[str, NDArray]] = []
        of: list[int] = []
        for place, number in enumerate(images):
            color, things = self._decode(int(number))
            warp = _warp(rng, vary) if vary else (1.0, 0.0, 0.0)
            color, things = _warped(color, things, warp)
            pixels[place] = _varied(color, rng, vary) if vary else color
            tasks = self._of_image[int(number)]
            chosen = rng.permutation(len(tasks))[:each] if vary else range(min(each, len(tasks)))
            for k in chosen:
                rows.append(self._row(tasks[int(k)], things, warp, rng, vary))
                of.append(place)
        found = {name: torch.from_numpy(np.stack([r[name] for r in rows])) for name in rows[0]}
        found["images"] = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        found["image_of"] = torch.tensor(of)
        return found

    def _decode(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image, things = (np.frombuffer(part, np.uint8) for part in self._pictures[number])
        bgr = cv2.imdecode(image, cv2.IMREAD_COLOR)
        shown = cv2.imdecode(things, cv2.IMREAD_GRAYSCALE)
        if bgr is None or shown is None:
            raise ConfigError(f"image {number} of the data set cannot be decoded; collect it anew.")
        color = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        return np.asarray(color, dtype=np.uint8), np.asarray(shown, dtype=np.uint8)

    def _row(
        self,
        index: int,
        things: NDArray[np.uint8],
        warp: tuple[float, float, float],
        rng: np.random.Generator,
        vary: VariationOptions | None,
    ) -> dict[str, NDArray]:
        task = self.tasks[index]
        values = task.values
        groups = (values["targets"], [values["goal"]], values["avoid"])
        masks = np.stack([_cells(things, [i for i in g if i >= 0]) for g in groups])
        state = self._states[task.image].copy()
        path = np.zeros((PATH_POINTS, 4), dtype=np.float32)
        there = np.zeros(PATH_POINTS, dtype=np.float32)
        drawn = np.array(values["path"], dtype=np.float32).reshape(-1, 4)
        path[: len(drawn)], there[: len(drawn)] = drawn, 1.0
        motion = self._motion(state, path, there, rng)
        ends = [Gripper(int(event)) for event in path[: max(len(drawn), 1), 3]]
        for points in (path[:, :2], state[None, :2]):
            points[:] = (points - 0.5) * warp[0] + 0.5 + warp[1:]
        ids = self._ids[index]
        if vary:
            ids = self._forgetful(index, rng, vary)
        return {
            "ids": ids,
            "colors": self._colors[index],
            "segments": self._segments[index],
            "state": state,
            "before": _before(things, values["before"], rng),
            "masks": masks.reshape(len(MAPS), -1),
            "status": np.array(STATUSES.index(values["status"])),
            "interaction": np.array(_NAMES.index(values["interaction"])),
            "flags": np.array([values["more"], *(masks[1:].sum((1, 2)) > 0)], dtype=np.float32),
            "path": path,
            "path_there": there,
            "work_end": np.array(work_end(Interaction(values["interaction"]), ends)),
            "index": np.array(index),
            **motion,
        }

    def _forgetful(
        self, index: int, rng: np.random.Generator, vary: VariationOptions
    ) -> NDArray[np.int64]:
        """Word numbers, some of them unknown: what is then left must do."""
        ids = self._ids[index].copy()
        draw = rng.random(len(ids))
        colored = self._colors[index][:, 0] > 0
        lost = draw < np.where(colored, vary.color_word, vary.word)
        if self.tasks[index].values["how"] in ("color", "every"):
            lost |= np.isin(ids, self._generic) & (draw < vary.noun)
        ids[lost & (ids >= FIRST)] = UNKNOWN
        return ids

    def _motion(
        self, state: NDArray, path: NDArray, there: NDArray, rng: np.random.Generator
    ) -> dict[str, NDArray]:
        """A tick somewhere along the path, and what is to be said then."""
        count = int(there.sum())
        points = np.zeros((PATH_POINTS, 3))
        opening, tool, passed = 1.0, np.array([0.35, 0.0, 0.4]), 1
        if count > 1:
            points[:count] = space(path[:count], camera_of(state))
            i = int(rng.integers(1, count))
            share = float(rng.choice((0.0, 1.0, rng.random()), p=(0.15, 0.25, 0.6)))
            noise = rng.normal(0, 0.004 if share == 1.0 else 0.012, 3)
            tool = points[i - 1] + share * (points[i] - points[i - 1]) + noise
            # Whoever counts the points may be early or late with the one that is reached.
            passed = i + int(share == 1.0 and rng.random() < 0.3 and path[i, 3] == 0)
            opening = _opening(path, i, share, rng)
        events = path[:, 3]
        signs, grip, way = motion_label(points, events, there, passed, tool, opening)
        return {
            "motion": motion_inputs(points, events, there, passed, tool, opening),
            "motion_there": np.array(float(count > 1), dtype=np.float32),
            "signs": signs,
            "grip": np.array(grip),
            "way": (way / max(float(np.linalg.norm(way)), 1e-6)).astype(np.float32),
        }


def camera_of(state: NDArray) -> Pose:
    """The camera's pose out of ``inputs.state_of``."""
    x, z = state[10:13].astype(float), state[13:16].astype(float)
    rotation = np.stack([x, np.cross(z, x), z], axis=1)
    return Pose(state[7:10] * 0.2 + np.array([1.1, 0.0, 0.75]), mat2quat(rotation))


def space(path: NDArray, camera: Pose) -> NDArray:
    """``(n, 4)`` x, y, height, event to ``(n, 3)`` points in the base frame."""
    lens = intrinsics(WIDTH, HEIGHT)
    return np.array([on_plane(float(x), float(y), lens, camera, float(z)) for x, y, z, _ in path])


def _opening(path: NDArray, i: int, share: float, rng: np.random.Generator) -> float:
    """Of the gripper before point `i`, or at it, just done or still to be done."""
    opening = 1.0
    for k in range(i + 1):
        event = int(path[k, 3])
        if event == Gripper.KEEP or (k == i and (share < 1.0 or rng.random() < 0.5)):
            continue
        opening = 1.0 if event == Gripper.OPEN else float(rng.uniform(0.0, 0.8))
    return opening


def _warp(rng: np.random.Generator, vary: VariationOptions) -> tuple[float, float, float]:
    x, y = rng.uniform(-vary.shift, vary.shift, 2)
    return float(1 + rng.uniform(-vary.zoom, vary.zoom)), float(x), float(y)


def _warped(
    color: NDArray[np.uint8], things: NDArray[np.uint8], warp: tuple[float, float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scale, x, y = warp
    if warp == (1.0, 0.0, 0.0):
        return color, things
    matrix = np.array(
        [
            [scale, 0, WIDTH * (0.5 - 0.5 * scale + x)],
            [0, scale, HEIGHT * (0.5 - 0.5 * scale + y)],
        ]
    )
    size = (WIDTH, HEIGHT)
    color = cv2.warpAffine(color, matrix, size, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    things = cv2.warpAffine(things, matrix, size, flags=cv2.INTER_NEAREST)  # type: ignore[assignment]
    return color, things


def _varied(
    color: NDArray[np.uint8], rng: np.random.Generator, vary: VariationOptions
) -> NDArray[np.uint8]:
    """Another camera's idea of the same light."""
    gain = 1 + rng.uniform(-vary.gain, vary.gain) + rng.uniform(-vary.tint, vary.tint, 3)
    shift = 255 * rng.uniform(-0.3, 0.3) * vary.gain
    found = color.astype(np.float32) * gain.astype(np.float32) + np.float32(shift)
    if rng.random() < vary.blur:
        found = np.asarray(cv2.GaussianBlur(found, (3, 3), rng.uniform(0.3, 1.0)))
    noise = np.float32(255 * vary.noise * rng.random())
    found += noise * rng.standard_normal(found.shape, dtype=np.float32)
    return np.clip(found, 0, 255).astype(np.uint8)


def _cells(things: NDArray[np.uint8], items: list[int]) -> NDArray[np.float32]:
    """``GRID``: how much of each cell shows one of the items, as shares that sum to 1."""
    if not items:
        return np.zeros(GRID, dtype=np.float32)
    among = np.zeros(256, dtype=bool)
    among[[i + 1 for i in items]] = True
    cells = among[things].reshape(GRID[0], STRIDE, GRID[1], STRIDE).mean((1, 3), dtype=np.float32)
    total = float(cells.sum())
    return np.asarray(cells / total if total > 0 else cells, dtype=np.float32)


def _before(
    things: NDArray[np.uint8], before: list[int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """As ``inputs.before_of``: a pixel of what the last plan was about."""
    found = np.zeros(BEFORE, dtype=np.float32)
    for i, item in enumerate(before):
        if item < 0:
            continue
        rows, columns = np.nonzero(things == item + 1)
        if len(rows):
            k = int(rng.integers(len(rows)))
            x, y = (columns[k] + 0.5) / WIDTH, (rows[k] + 0.5) / HEIGHT
            found[3 * i : 3 * i + 3] = x, y, 1.0
    return found
