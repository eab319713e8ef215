"""``hierarchy train``: policies out of demonstrations."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from hierarchy_nodes.cli.arguments import add_set, key_values
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import with_values

INSTALL = "pip install torch safetensors (CPU only: add --index-url of a CPU build of torch)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hierarchy_nodes.learning.policies import TRAINED

    parser.add_argument("part", choices=("controller",), help="what to train")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="from 'hierarchy collect'"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="weights, metrics, checkpoint"
    )
    parser.add_argument("--steps", type=int, default=20_000, help="default %(default)s")
    parser.add_argument("--batch", type=int, default=128, help="in each process, default 128")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument(
        "--policy",
        choices=TRAINED,
        default="hierarchical",
        help="flat: the same network and data, but it never sees path, masks or corrections",
    )
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate, default 5e-4")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default auto"
    )
    add_set(parser, "any other option: of training, network.KEY or augmentation.KEY")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    require_torch()
    from hierarchy_nodes.learning.dataset import load_arrays
    from hierarchy_nodes.learning.training import TrainingOptions, train

    a = arguments
    options = TrainingOptions(
        steps=a.steps,
        batch=a.batch,
        seed=a.seed,
        policy=a.policy,
        rate=a.rate,
        warmup=min(TrainingOptions.warmup, a.steps // 10),
        device=a.device,
    )
    options = with_values(options, key_values("--set", a.set))
    weights = train(
        load_arrays(a.data),
        a.out,
        options,
        resume=a.resume,
        progress=not a.quiet and sys.stderr.isatty(),
        facts={"folder": a.data.name},
    )
    if os.environ.get("RANK", "0") == "0":
        print(f"written: {weights} ({weights.stat().st_size / 1e6:.1f} MB)")
    return 0


def require_torch() -> None:
    """A ConfigError with the command that installs what is missing."""
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: {INSTALL}") from error
