"""Whisper's encoder (Radford et al. 2022) in torch, to be trained further."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.speech.hearing import WIDTH
from hierarchy_nodes.speech.mel import BANDS

_LAYERS, _HEADS, _MOST = 4, 6, 1500
# Of what CTranslate2 stores as numbers, those that weights may be.
_NUMBERS = {0: np.float32, 4: np.float16}
# Names of a layer's parts here, and in CTranslate2's files.
_PARTS = {
    "attention.norm": "self_attention/layer_norm",
    "attention.mixed": "self_attention/linear_0",
    "attention.out": "self_attention/linear_1",
    "alone.0": "ffn/layer_norm",
    "alone.1": "ffn/linear_0",
    "alone.3": "ffn/linear_1",
}


class WhisperEncoder(nn.Module):
    """``(B, BANDS, T)`` log-mel energies to ``(B, T / 2, WIDTH)``, as large as in Whisper tiny."""

    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.register_buffer("places", torch.zeros(_MOST, WIDTH))
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Args: lengths: ``(B,)`` even numbers of frames that are not padding; None: all."""
        x = functional.gelu(self.conv1(mel))
        there = None
        if lengths is not None:
            there = torch.arange(mel.shape[2], device=mel.device)[None] < lengths[:, None]
            x = x * there[:, None]
            there = there[:, ::2]
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.places[: x.shape[1]]
        for layer in self.layers:
            x = layer(x, there)
        x = self.norm(x)
        return x if there is None else x * there[..., None]

    def read(self, folder: Path) -> None:
        """Take the weights of a CTranslate2 model.

        Raises:
            ConfigError: No such model there, or one of another size.
        """
        file = folder / "model.bin"
        try:
            stored = _stored(file)
            self.load_state_dict(_named(stored))
        except (OSError, struct.error, ValueError, KeyError, RuntimeError) as error:
            raise ConfigError(f"{file}: no encoder of a Whisper tiny model: {error}") from error


class _Layer(nn.Module):
    """Frames among each other, then each alone."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = _Attention()
        self.alone = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        x = x + self.attention(x, there)
        return x + self.alone(x)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.mixed = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        batch, count, _ = x.shape
        mixed = self.mixed(self.norm(x)).view(batch, count, 3, _HEADS, WIDTH // _HEADS)
        queries, keys, values = mixed.permute(2, 0, 3, 1, 4)
        # By hand: on a CPU a third of what torch's own needs, forward and backward.
        weights = queries * (WIDTH // _HEADS) ** -0.5 @ keys.transpose(-1, -2)
        if there is not None:
            weights = weights.masked_fill(~there[:, None, None], float("-inf"))
        found = weights.softmax(dim=-1) @ values
        return self.out(found.transpose(1, 2).reshape(batch, count, WIDTH))


def _named(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {"places": stored["encoder/position_encodings/encodings"]}
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            found[f"{conv}.{kind}"] = stored[f"encoder/{conv}/{kind}"]
    parts = {"norm": "encoder/layer_norm"}
    for i in range(_LAYERS):
        for ours, theirs in _PARTS.items():
            parts[f"layers.{i}.{ours}"] = f"encoder/layer_{i}/{theirs}"
    for ours, theirs in parts.items():
        kinds = ("gamma", "beta") if theirs.endswith("norm") else ("weight", "bias")
        for kind, name in zip(("weight", "bias"), kinds, strict=True):
            found[f"{ours}.{kind}"] = stored[f"{theirs}/{name}"]
    return found


def _stored(file: Path) -> dict[str, Tensor]:
    """The weights in it, by their names: CTranslate2's format, version 6."""
    found = {}
    with file.open("rb") as stream:
        _numbers(stream, "<I")
        _text(stream)
        _, count = _numbers(stream, "<II")
        for _ in range(count):
            name = _text(stream)
            (rank,) = _numbers(stream, "<B")
            shape = _numbers(stream, f"<{rank}I")
            kind, size = _numbers(stream, "<BI")
            data = stream.read(size)
            if kind in _NUMBERS:
                array = np.frombuffer(data, _NUMBERS[kind]).reshape(shape)
                found[name] = torch.from_numpy(array.astype(np.float32))
    return found


def _numbers(stream: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, stream.read(struct.calcsize(form)))


def _text(stream: BinaryIO) -> str:
    (size,) = _numbers(stream, "<H")
    return stream.read(size).rstrip(b"\0").decode()
