"""The command whose sentence embedding is nearest (Reimers and Gurevych 2019, Sentence-BERT)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy_nodes.correction.grammar import EXAMPLES
from hierarchy_nodes.correction.normal import normalise
from hierarchy_nodes.correction.rewording.base import Reworded, Rewording, understood
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import param

_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class EmbeddingOptions:
    """Which model of sentences, from a folder; nothing is fetched."""

    checkpoint: str = param(
        "", "Folder of an encoder and its tokenizer, as save_pretrained or `hf download` leave it"
    )
    min_similarity: float = param(
        0.6, "Cosine with the nearest command from which on it is meant", low=0.0, high=1.0
    )
    margin: float = param(
        0.05, "By so much it must be nearer than any other command", low=0.0, high=1.0
    )


class EmbeddingRewording(Rewording):
    """Compares with the commands that need neither a number nor the name of a thing.

    Raises:
        ConfigError: A package is missing (with the command that installs it), or the folder holds
            no model.
    """

    Options = EmbeddingOptions
    options: EmbeddingOptions

    def __init__(self, options: EmbeddingOptions) -> None:
        super().__init__(options)
        folder = Path(options.checkpoint).expanduser()
        if not options.checkpoint or not (folder / "config.json").is_file():
            raise ConfigError(
                f"checkpoint: '{options.checkpoint}' is not a folder with a config.json."
            )
        try:
            from transformers import AutoModel, AutoTokenizer

            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        except ImportError as error:
            raise ConfigError(
                f"The rewording 'embedding' needs {error.name}: pip install transformers torch"
            ) from error
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ConfigError(
                f"checkpoint: '{folder}' cannot be loaded: {type(error).__name__}: "
                f"{str(error)[:400]}"
            ) from error
        self._commands = tuple(e for e in EXAMPLES if understood(e) and _is_general(e))
        self._known = self._embedded(self._commands)

    def reword(self, text: str, names: Sequence[str] = ()) -> Reworded | None:
        # A nearest command says nothing about how far or which one.
        if _DIGIT.search(normalise(text)):
            return None
        near = self._known @ self._embedded((text,))[0]
        second, first = np.sort(near)[-2:]
        if first < self.options.min_similarity or first - second < self.options.margin:
            return None
        return Reworded(self._commands[int(near.argmax())], float(np.clip(first, 0.0, 1.0)))

    def _embedded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(N, D)``: means of the tokens, of length 1."""
        import torch

        inputs = self._tokenizer(
            list(texts), padding=True, truncation=True, return_tensors="pt", max_length=64
        )
        with torch.inference_mode():
            tokens = self._model(**inputs).last_hidden_state
        there = inputs["attention_mask"][..., None].to(tokens.dtype)
        means = (tokens * there).sum(1) / there.sum(1).clamp(min=1.0)
        return np.asarray(torch.nn.functional.normalize(means, dim=1).numpy(), np.float32)


def _is_general(command: str) -> bool:
    """Without a number or a thing in it."""
    return not re.search(r"\d|centimet|degrees|\b(?:block|plate|one)\b", command)
