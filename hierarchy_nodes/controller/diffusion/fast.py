"""The same numbers in less time: for one observation, overhead costs more than arithmetic.

Functions of tensors are exported to ONNX when they are first called, and run by ONNX Runtime
(https://onnxruntime.ai), which fuses their operations and starts each of them sooner. What calls
them hands over arrays: to make a tensor of each would take as long as many an operation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from hierarchy_nodes.onnx_file import export


class Eager:
    """A function of tensors, called with arrays: as `Compiled`, without compiling anything."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @torch.inference_mode()
    def __call__(self, *arguments: Any, **constants: Hashable) -> Any:
        """What the function returns, as arrays."""
        result = self._function(
            *_like(arguments, map(torch.from_numpy, _leaves(arguments))), **constants
        )
        return _like(result, (tensor.numpy() for tensor in _leaves(result)))


class Compiled:
    """A function of tensors, and of tuples and dictionaries of them, called with arrays.

    It runs on as many threads as torch has. What it is called with by name becomes constant: every
    set of such values has a session of its own.

    Args:
        function: Without branches on values. Of its arguments only the values may change from call
            to call, the shapes only with the key.
        module: Whose parameters it uses; they become constants.
        key: Under which shapes are told apart: each needs a session of its own.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        module: nn.Module | None = None,
        key: Callable[..., object] = lambda *arguments: "",
    ) -> None:
        self._function, self._module, self._key = function, module, key
        self._sessions: dict[object, _Session] = {}

    def __call__(self, *arguments: Any, **constants: Hashable) -> Any:
        """What the function returns, as arrays of their own."""
        key = (self._key(*arguments), *constants.items())
        session = self._sessions.get(key)
        if session is None:
            function = partial(self._function, **constants)
            session = self._sessions[key] = _Session(function, self._module, arguments)
        return session.run(arguments)


class _Session:
    """The function at one set of shapes."""

    def __init__(
        self, function: Callable[..., Any], module: nn.Module | None, arguments: tuple[Any, ...]
    ) -> None:
        inputs = tuple(torch.tensor(array) for array in _leaves(arguments))
        flat = _Flat(function, module, arguments)
        names = [f"in{index}" for index in range(len(inputs))]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with (
            tempfile.TemporaryDirectory() as folder,
            torch.inference_mode(False),
            torch.no_grad(),
        ):
            self._shape = function(*_like(arguments, iter(inputs)))
            file = Path(folder, "function.onnx")
            export(flat, file, dict(zip(names, inputs, strict=True)))
            self._session = onnxruntime.InferenceSession(
                file, options, providers=["CPUExecutionProvider"]
            )
        # Inputs that the result does not depend on are gone.
        left = {node.name for node in self._session.get_inputs()}
        self._names = [(index, name) for index, name in enumerate(names) if name in left]

    def run(self, arguments: tuple[Any, ...]) -> Any:
        inputs = list(_leaves(arguments))
        outputs = self._session.run(None, {name: inputs[index] for index, name in self._names})
        return _like(self._shape, iter(outputs))


class _Flat(nn.Module):
    """A function as a module from tensors to tensors, which is what can be exported."""

    def __init__(
        self, function: Callable[..., Any], module: nn.Module | None, arguments: tuple[Any, ...]
    ) -> None:
        super().__init__()
        self._function, self.module, self._shape = function, module, arguments

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(_leaves(self._function(*_like(self._shape, iter(tensors)))))


def _leaves(nested: Any) -> Iterator[Any]:
    """All arrays or tensors in tuples and dictionaries, in order."""
    if isinstance(nested, (np.ndarray, Tensor)):
        yield nested
    else:
        for part in nested.values() if isinstance(nested, dict) else nested:
            yield from _leaves(part)


def _like(shape: Any, leaves: Iterator[Any]) -> Any:
    """`leaves` nested as `shape` is."""
    if isinstance(shape, (np.ndarray, Tensor)):
        return next(leaves)
    if isinstance(shape, dict):
        return {name: _like(part, leaves) for name, part in shape.items()}
    return tuple(_like(part, leaves) for part in shape)
