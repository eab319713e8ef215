"""Networks into ONNX files, and their weights back out of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.files import whole

# The newest set of operators of which the exporter needs no further package.
_OPSET = 17


def export(
    network: nn.Module,
    path: Path,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str] = (),
    dynamic: Mapping[str, Mapping[int, str]] = MappingProxyType({}),
    small: bool = False,
) -> None:
    """Write it whole or not at all; it must be on the CPU.

    Args:
        inputs: An example of each, by its name and in its order.
        outputs: Their names; numbers for those without.
        dynamic: Of inputs and outputs, which axes may have another length, and what they are.
        small: Whether matrices are kept in 8 bits, a quarter of the size.
    """
    with whole(path) as draft, warnings.catch_warnings():
        # That shapes become constants, and that a newer exporter exists, which takes 20 times as
        # long and needs one more package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            draft,
            dynamo=False,
            input_names=list(inputs),
            output_names=list(outputs) or None,
            dynamic_axes={name: dict(axes) for name, axes in dynamic.items()},
            opset_version=_OPSET,
        )
        if small:
            quantize_dynamic(
                draft, draft, ["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
            )


def read(network: nn.Module, path: Path) -> None:
    """Give `network` the weights of another one of its kind that :func:`export` wrote.

    Raises:
        ConfigError: No such file, or the weights of another network.
    """
    try:
        file = onnx.load(path)
        stored = {i.name: onnx.numpy_helper.to_array(i) for i in file.graph.initializer}
        # The exporter keeps the names of all but matrices, which are in the network's order.
        matrices = iter(_matrices(stored))
        weights = {
            name: torch.from_numpy(np.array(stored[name] if name in stored else next(matrices)))
            for name in network.state_dict()
        }
        network.load_state_dict(weights)
    except (OSError, DecodeError, KeyError, StopIteration, RuntimeError) as error:
        kind = type(network).__name__
        raise ConfigError(f"{path}: no weights of a {kind}: {error}") from error


def _matrices(stored: Mapping[str, NDArray[Any]]) -> Iterator[NDArray[np.float32]]:
    """Those of ``nn.Linear``, as torch has them."""
    for name, array in stored.items():
        if name.endswith("_quantized"):
            scale, zero = (stored[name.replace("_quantized", e)] for e in ("_scale", "_zero_point"))
            yield (scale * (array.astype(np.float32) - zero)).T
        elif "MatMul_" in name and array.ndim == 2:
            yield array.T
