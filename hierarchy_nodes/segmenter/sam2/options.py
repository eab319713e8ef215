"""Options of the segmenter backend ``sam2``."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy_nodes.parameters import param
from hierarchy_nodes.segmenter.following import FollowOptions


@dataclass(frozen=True)
class Sam2Options(FollowOptions):
    """Which model, and when its masks are believed. It is loaded when the node starts."""

    checkpoint: str = param(
        "", "File with the weights, e.g. sam2.1_hiera_tiny.pt; nothing is downloaded"
    )
    model_config: str = param(
        "",
        "YAML file, or a name that the sam2 package has, e.g. sam2.1_hiera_t; empty: the one that "
        "belongs to a released checkpoint's file name",
    )
    image_size: int = param(
        512,
        "Side of the square that images are scaled to, a multiple of 32; 0: as model_config says",
        unit="px",
        low=0,
        high=2048,
    )
    device: str = param("auto", "auto (CUDA where there is one), cpu, cuda, cuda:1 ...")
    precision: str = param(
        "auto",
        "Of the arithmetic; auto: bfloat16 on CUDA, float32 on a CPU",
        choices=("auto", "float32", "bfloat16"),
    )
    memory_frames: int = param(
        15,
        "Latest images that a thing is remembered from, beside the one it was pointed at on; more "
        "than the model looks at are not kept",
        low=1,
        high=64,
    )
    min_score: float = param(
        0.5, "Below this score of the model the thing is not in the image", low=0.0, high=1.0
    )
    min_iou: float = param(
        0.3, "Masks are not believed below this overlap, as the model estimates it", low=0, high=1
    )
    unlike_look: float = param(
        0.5,
        "Largest change of what the model sees under the mask: 1 - cosine of its image features",
        low=0.0,
        high=2.0,
    )
    largest: float = param(
        0.6, "A mask of something longer than this is not of a thing", unit="m", low=0.01, high=5.0
    )
