"""Networks into ONNX files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import onnx  # noqa: F401 - torch's exporter needs it
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

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
