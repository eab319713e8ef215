"""The same numbers in less time: for one observation, overhead costs more than arithmetic."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class Replay:
    """Records a function of tensors when it is first called, and replays the record.

    Args:
        function: Of tensors, and tuples and dictionaries of them; without branches on values.
        module: Whose parameters it uses; they become constants.
        name: A key under which shapes are told apart: each needs a record of its own.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        module: nn.Module | None,
        name: Callable[..., object] = lambda *arguments: "",
    ) -> None:
        self._wrapped = _Wrapped(function, module).eval()
        self._name = name
        self._records: dict[object, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        key = self._name(*arguments)
        record = self._records.get(key)
        if record is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trace = torch.jit.trace(self._wrapped, arguments, check_trace=False)
                record = self._records[key] = torch.jit.freeze(trace)
                for _ in range(3):  # the first runs specialise it
                    record(*arguments)
        return record(*arguments)


def prepared(network: nn.Module) -> Any:
    """A copy for inference, whose matrices lie as products with few rows want them."""
    result = copy.deepcopy(network).eval().requires_grad_(False)
    for module in result.modules():
        if isinstance(module, nn.Linear):
            # The same numbers in the same shape, stored the other way round.
            module.weight.data = module.weight.data.t().contiguous().t()
    return result


class _Wrapped(nn.Module):
    def __init__(self, function: Callable[..., Any], module: nn.Module | None) -> None:
        super().__init__()
        self._function, self.module = function, module

    def forward(self, *arguments: Any) -> Any:
        return self._function(*arguments)
