"""From a checkpoint and a model configuration to a tracker; every mistake has a name."""

from __future__ import annotations

import importlib.util
import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierarchy_nodes.errors import ConfigError, UnknownNameError
from hierarchy_nodes.parameters import read_yaml
from hierarchy_nodes.segmenter.sam2.options import Sam2Options

if TYPE_CHECKING:
    from hierarchy_nodes.segmenter.sam2.stream import Sam2Tracker

# Import name to package. The package's own list has torchvision, which tracking does without.
NEEDED = {"torch": "torch", "hydra": "hydra-core", "iopath": "iopath", "PIL": "pillow"}
INSTALL = "SAM2_BUILD_CUDA=0 pip install --no-deps --no-build-isolation sam2"
RELEASED = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_tiny.pt"
_PREDICTOR = "hierarchy_nodes.segmenter.sam2.stream.StreamingPredictor"
_PART = re.compile(r"sam2\.(modeling\.[\w.]+|sam2_video_predictor)\.[A-Z]\w*")
_STRIDE = 32  # of the coarsest features, and of the first windows, in pixels


def load_tracker(options: Sam2Options) -> Sam2Tracker:
    """The model on its device, with an empty memory.

    Raises:
        ConfigError: A package, the checkpoint or the configuration is missing or broken, or the
            two do not belong together.
    """
    _require_packages()
    checkpoint = Path(options.checkpoint).expanduser()
    if not options.checkpoint or not checkpoint.is_file():
        raise ConfigError(
            f"checkpoint: '{options.checkpoint}' is not a file. Nothing is downloaded by itself; "
            f"the smallest released one: {RELEASED}"
        )
    device = _device(options.device)
    bfloat16 = options.precision == "bfloat16"
    if options.precision == "auto":
        bfloat16 = device.startswith("cuda")
    config = _find_config(options.model_config, checkpoint)
    model = _build(config, checkpoint, device, options)
    from hierarchy_nodes.segmenter.sam2.stream import Sam2Tracker

    tracker = Sam2Tracker(model, options.memory_frames, bfloat16)
    _try_out(tracker, config)
    return tracker


def _try_out(tracker: Sam2Tracker, config: Path | str) -> None:
    """Track on a black image: what cannot work is told now, and the first plan need not wait."""
    try:
        tracker.show(np.zeros((240, 320, 3), np.uint8))
        tracker.point(0, 0.5, 0.5)
        tracker.remember(0)
        tracker.follow(0)
    except (
        ArithmeticError,
        AssertionError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigError(
            f"model_config: '{config}' makes a model that cannot track: "
            f"{type(error).__name__}: {_short(error)}"
        ) from error
    tracker.forget(0)


def _require_packages() -> None:
    missing = [pip for name, pip in NEEDED.items() if importlib.util.find_spec(name) is None]
    commands = [f"pip install {' '.join(missing)}"] if missing else []
    if importlib.util.find_spec("sam2") is None:
        missing.append("sam2")
        commands.append(INSTALL)
    if missing:
        raise ConfigError(
            f"The segmenter backend 'sam2' needs {', '.join(missing)}: {' && '.join(commands)}"
        )


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UnknownNameError("value of device", name, ("auto", "cpu", "cuda", "cuda:0"))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device '{name}': torch sees no GPU here. Valid: auto, cpu.")
    return name


def shipped_configs() -> dict[str, str]:
    """Short names of the package's model configurations, with their paths inside of it."""
    found = importlib.util.find_spec("sam2")
    root = Path((found and found.origin) or "").parent
    files = sorted((root / "configs").glob("sam2*/sam2*_hiera_*.yaml"))
    whole = [path for path in files if "training" not in path.parent.name]
    return {path.stem: path.relative_to(root).as_posix() for path in whole}


def _fitting(checkpoint: Path) -> str | None:
    """Short name of the configuration that belongs to a released checkpoint."""
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

    names = {file: Path(config).stem for config, file in HF_MODEL_ID_TO_FILENAMES.values()}
    return names.get(checkpoint.name)


def _find_config(name: str, checkpoint: Path) -> Path | str:
    """A file, or a path inside of the package."""
    shipped = shipped_configs()
    if not name:
        fitting = _fitting(checkpoint)
        if fitting is None:
            raise ConfigError(
                f"model_config: none is given, and '{checkpoint.name}' is not the name of a "
                f"released checkpoint. Valid: a YAML file, {', '.join(shipped)}."
            )
        name = fitting
    if name in shipped.values():
        return name
    if name in shipped:
        return shipped[name]
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    if path.suffix in (".yaml", ".yml"):
        raise ConfigError(
            f"model_config: '{name}' is not a file. Valid: a YAML file, {', '.join(shipped)}."
        )
    raise UnknownNameError("model_config", name, shipped)


@contextmanager
def searching(config: Path | str) -> Iterator[str]:
    """Make hydra look where `config` is; gives the name to ask it for.

    The package has made hydra look into itself once and for all; it does so again afterwards.
    """
    from hydra import initialize_config_dir, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        if isinstance(config, Path):
            with initialize_config_dir(str(config.parent), version_base="1.2"):
                yield config.name
        else:
            with initialize_config_module("sam2", version_base="1.2"):
                yield config
    finally:
        GlobalHydra.instance().hydra = before


def _build(config: Path | str, checkpoint: Path, device: str, options: Sam2Options) -> Any:
    import sam2.build_sam  # makes hydra look into the package, so before that is changed
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(config, Path):
        read_yaml(config)
    overrides = [f"++model.image_size={options.image_size}"] if options.image_size else []
    try:
        with searching(config) as name:
            _check_model(OmegaConf.to_container(compose(name, overrides), resolve=True), config)
            return sam2.build_sam.build_sam2_video_predictor(
                name,
                str(checkpoint),
                device,
                hydra_overrides_extra=[*overrides, f"++model._target_={_PREDICTOR}"],
            )
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"model_config: '{config}' makes no model: {_short(error)}") from error
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        if "state_dict" in str(error):
            fitting = _fitting(checkpoint)
            hint = f" It belongs to model_config '{fitting}'." if fitting else ""
            raise ConfigError(
                f"checkpoint: '{checkpoint}' does not fit model_config '{config}'.{hint} "
                f"{_short(error)}"
            ) from error
        raise ConfigError(f"checkpoint: '{checkpoint}' cannot be read: {_short(error)}") from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"checkpoint: '{checkpoint}' is not one of SAM 2: it must hold a dictionary with the "
            f"weights under 'model' ({_short(error)})."
        ) from error


def _check_model(composed: Any, config: Path | str) -> None:
    """A model of the package's own parts, on images that it can divide."""
    model = composed.get("model") if isinstance(composed, dict) else None
    if not isinstance(model, dict):
        raise ConfigError(f"model_config: '{config}' has no section 'model'.")
    for target in _targets(model):
        if not _PART.fullmatch(target):
            raise ConfigError(
                f"model_config: '{config}' asks for '{target}', which is not of sam2.modeling."
            )
    size = model.get("image_size", 512)
    if not isinstance(size, int) or size < _STRIDE or size % _STRIDE:
        raise ConfigError(f"image_size: {size!r} is not a multiple of {_STRIDE}, e.g. 512.")


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]} ..."
