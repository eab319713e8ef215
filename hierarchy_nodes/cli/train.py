"""``hierarchy train``: policies out of demonstrations."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierarchy_nodes.cli.arguments import add_set, key_values
from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import with_values

INSTALL = (
    "pip install torch safetensors onnx onnxruntime "
    "(CPU only: add --index-url of a CPU build of torch)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from hierarchy_nodes.learning.policies import TRAINED

    parser.add_argument("part", choices=tuple(PARTS), help="what to train")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="from 'hierarchy collect'; for the planner with --images; for confirm the folder in "
        "which stop was trained; not for stop and words",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="weights, metrics, checkpoint"
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=None,
        help="default 20000, planner 8000, stop 6000, confirm 2000, words 4000",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=None,
        help="in each process; default 128, planner 32, stop 48, confirm 64, words 32",
    )
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument(
        "--policy",
        choices=TRAINED,
        default="hierarchical",
        help="flat: the same network and data, but it never sees path, masks or corrections",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=None,
        help="learning rate; default 5e-4, planner, confirm and words 1e-3, stop 2e-3",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="default auto"
    )
    add_set(
        parser,
        "any other option: of training, network.KEY, augmentation.KEY or (planner) variation.KEY",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    require_torch()
    a = arguments
    if (a.data is None) != (a.part in _SPOKEN):
        need = "makes its own clips" if a.part in _SPOKEN else "needs a folder of data"
        raise ConfigError(f"--data: training '{a.part}' {need}.")
    weights = PARTS[a.part](a)
    if os.environ.get("RANK", "0") == "0":
        print(f"written: {weights} ({weights.stat().st_size / 1e6:.1f} MB)")
    return 0


def _controller(a: argparse.Namespace) -> Path:
    from hierarchy_nodes.learning.dataset import load_arrays
    from hierarchy_nodes.learning.training import TrainingOptions, train

    options = with_values(_run_options(TrainingOptions(policy=a.policy), a), _more(a))
    return train(
        load_arrays(a.data),
        a.out,
        options,
        resume=a.resume,
        progress=not a.quiet and sys.stderr.isatty(),
        facts={"folder": a.data.name},
    )


def _planner(a: argparse.Namespace) -> Path:
    from hierarchy_nodes.learning.planner.training import PlannerTrainingOptions, train_planner

    return train_planner(
        a.data,
        a.out,
        with_values(_run_options(PlannerTrainingOptions(), a), _more(a)),
        resume=a.resume,
        progress=not a.quiet and sys.stderr.isatty(),
        facts={"folder": a.data.name},
    )


def _stop(a: argparse.Namespace) -> Path:
    from hierarchy_nodes.learning.stop.training import StopOptions, train

    options = with_values(_run_options(StopOptions(), a), _more(a))
    return train(a.out, options, resume=a.resume, progress=not a.quiet and sys.stderr.isatty())


def _confirm(a: argparse.Namespace) -> Path:
    from hierarchy_nodes.learning.stop.confirming import ConfirmOptions, train

    options = with_values(_run_options(ConfirmOptions(), a), _more(a))
    progress = not a.quiet and sys.stderr.isatty()
    return train(a.data, a.out, options, resume=a.resume, progress=progress)


def _words(a: argparse.Namespace) -> Path:
    from hierarchy_nodes.learning.words.training import WordsOptions, train

    options = with_values(_run_options(WordsOptions(), a), _more(a))
    return train(a.out, options, resume=a.resume, progress=not a.quiet and sys.stderr.isatty())


def _run_options(options: Any, a: argparse.Namespace) -> Any:
    """`options` with what the command line says about any training."""
    said = {name: getattr(a, name) for name in ("steps", "batch", "seed", "rate", "device")}
    options = replace(options, **{k: v for k, v in said.items() if v is not None})
    return replace(options, warmup=min(options.warmup, options.steps // 10))


def _more(a: argparse.Namespace) -> dict[str, Any]:
    return key_values("--set", a.set)


def require_torch() -> None:
    """A ConfigError with the command that installs what is missing."""
    try:
        import safetensors  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: {INSTALL}") from error


PARTS = {
    "controller": _controller,
    "planner": _planner,
    "stop": _stop,
    "confirm": _confirm,
    "words": _words,
}
# These have what they learn from spoken.
_SPOKEN = ("stop", "words")
