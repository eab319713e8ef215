"""Demonstrations as batches of tensors: drawn, never copied as a whole per step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hierarchy_nodes.controller.diffusion import inputs
from hierarchy_nodes.controller.diffusion.features import HORIZON, Features
from hierarchy_nodes.controller.diffusion.inputs import Batch
from hierarchy_nodes.errors import ConfigError

CHUNK, DONE, EPISODE, TEXT = "action.chunk", "done", "episode_index", "text_index"
FEATURES = tuple(f.name for f in fields(Features) if f.name != "text")
# The cloud as it is drawn where there are no masks: the other one has half of its points from them.
_PLAIN = {"points": "plain_points", "point_colors": "plain_colors"}
# What comes with the camera image, and is older when that is late.
_IMAGE = (*_PLAIN.values(), "points", "point_colors", "point_roles", "things", "things_there")
# Of the device's free memory, what the demonstrations may take.
_SHARE = 0.4


@dataclass(frozen=True)
class Split:
    """Which records are learned from, and which are kept back to see how well."""

    train: Tensor
    held_out: Tensor


class ControllerData:
    """Records of all episodes one after the other.

    Args:
        arrays: As ``learning.dataset.load_arrays`` gives them: a `Features` array each with a
            leading record axis, ``plain_points`` and ``plain_colors``, ``action.chunk``
            ``(N, HORIZON, 8)``, ``done`` ``(N,)``,
            ``episode_index`` ``(N,)``, ``text_index`` ``(N,)`` and ``text``, the instructions.
        device: Where batches are wanted; the data itself moves there if there is room.

    Raises:
        ConfigError: An array is missing, has the wrong shape, or is not finite.
    """

    def __init__(self, arrays: Mapping[str, Any], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.texts = [str(text) for text in _needed(arrays, "text")]
        names = (*FEATURES, *_PLAIN.values(), CHUNK, DONE, EPISODE, TEXT)
        self._tensors = {name: torch.from_numpy(_whole(_needed(arrays, name))) for name in names}
        self.count = len(self._tensors["tool"])
        for name, tensor in self._tensors.items():
            if len(tensor) != self.count:
                raise ConfigError(
                    f"demonstrations: '{name}' has {len(tensor)} records, 'tool' {self.count}."
                )
        if self._tensors[CHUNK].shape[1:] != (HORIZON, 8):
            raise ConfigError(
                f"demonstrations: '{CHUNK}' has shape {tuple(self._tensors[CHUNK].shape)}, "
                f"expected (N, {HORIZON}, 8)."
            )
        for name in (CHUNK, "tool", DONE):
            if not torch.isfinite(self._tensors[name]).all():
                raise ConfigError(f"demonstrations: '{name}' contains NaN or infinity.")
        self._tensors[DONE] = self._tensors[DONE].reshape(self.count).float()
        episode = self._tensors[EPISODE] = self._tensors[EPISODE].reshape(self.count)
        self._tensors[TEXT] = self._tensors[TEXT].reshape(self.count).long()
        begins = torch.ones(self.count, dtype=torch.bool)
        begins[1:] = episode[1:] != episode[:-1]
        # The record that each record's episode begins with.
        self._first = torch.where(begins, torch.arange(self.count), 0).cummax(0).values
        if self.device.type == "cuda":
            size = sum(t.numel() * t.element_size() for t in self._tensors.values())
            if size < _SHARE * torch.cuda.mem_get_info(self.device)[0]:
                self._tensors = {n: t.to(self.device) for n, t in self._tensors.items()}
                self._first = self._first.to(self.device)

    @property
    def episodes(self) -> int:
        """How many there are."""
        return len(self._tensors[EPISODE].unique())

    def split(self, held_out: float, seed: int) -> Split:
        """Whole episodes are held out: at least one, and never all.

        Raises:
            ConfigError: There is only one episode.
        """
        episode = self._tensors[EPISODE].cpu().numpy()
        known = np.unique(episode)
        if len(known) < 2:
            raise ConfigError(f"demonstrations: {len(known)} episodes are too few, 2 are needed.")
        order = np.random.default_rng(seed).permutation(known)
        kept = order[: min(max(1, round(held_out * len(known))), len(known) - 1)]
        apart = np.isin(episode, kept)
        return Split(*(torch.from_numpy(np.flatnonzero(w)) for w in (~apart, apart)))

    def encode_words(self, vocabulary: list[str], length: int) -> None:
        """Number the words of all instructions."""
        numbers = inputs.numbered(vocabulary)
        ids = [inputs.word_ids(text, numbers, length) for text in self.texts]
        self._words = torch.tensor(ids, device=self._first.device).reshape(-1, length)

    def batch(self, index: Tensor, masks: Tensor, late: Tensor | None = None) -> Batch:
        """Records, on the device, with ``words``.

        Args:
            index: ``(B,)`` which.
            masks: ``(B,)`` whether there are masks, by which half of the cloud is drawn.
            late: ``(B,)`` by how many records what the camera saw is older.
        """
        index = index.to(self._first.device)
        image = index
        if late is not None:
            image = torch.maximum(index - late.to(index), self._first[index])
        found = {
            name: tensor[image if name in _IMAGE else index]
            for name, tensor in self._tensors.items()
        }
        found["words"] = self._words[found[TEXT]]
        there = masks.to(self._first.device)[:, None, None] > 0
        for name, plain in _PLAIN.items():
            found[name] = torch.where(there, found[name], found.pop(plain))
        return {name: value.to(self.device) for name, value in found.items()}

    def raw(self, name: str, index: Tensor) -> Tensor:
        """One array's records, where they lie."""
        return self._tensors[name][index.to(self._first.device)]


def _needed(arrays: Mapping[str, Any], name: str) -> Any:
    if name not in arrays:
        raise ConfigError(
            f"demonstrations: '{name}' is missing; there are {', '.join(sorted(arrays))}."
        )
    return arrays[name]


def _whole(array: Any) -> np.ndarray:
    """In memory and of its own: torch shares it."""
    return np.array(array)
