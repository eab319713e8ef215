"""Planner backend ``transformers``: a vision-language model from a folder, in this process."""

from __future__ import annotations

import importlib.util
import threading
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from hierarchy_nodes.errors import ConfigError
from hierarchy_nodes.parameters import param
from hierarchy_nodes.planner.vlm.backend import VlmPlanner
from hierarchy_nodes.planner.vlm.model import Answer, ModelCancelled, ModelError, Request
from hierarchy_nodes.planner.vlm.options import VlmOptions

NEEDED = {"torch": "torch", "transformers": "transformers", "PIL": "pillow"}


@dataclass(frozen=True)
class LocalOptions(VlmOptions):
    """Which model, and on what it runs. It is loaded when the node starts."""

    checkpoint: str = param(
        "", "Folder of the model, as save_pretrained or `hf download` leave it; nothing is fetched"
    )
    device: str = param("auto", "auto (CUDA where there is one), cpu, cuda, cuda:1 ...")
    dtype: str = param(
        "auto",
        "Type of the weights; auto: as stored, float32 on a CPU",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    timeout: float = param(60.0, "For one answer", unit="s", low=0.1, high=3600.0)
    trust_remote_code: bool = param(False, "Run Python code that lies beside the weights")


class LocalPlanner(VlmPlanner):
    """See the module."""

    Options = LocalOptions
    options: LocalOptions

    def __init__(self, options: LocalOptions) -> None:
        super().__init__(options, None if options.replay else LocalModel(options))


class LocalModel:
    """A model with its processor.

    Raises:
        ConfigError: A package is missing (with the command that installs it), or the checkpoint
            cannot be loaded.
    """

    def __init__(self, options: LocalOptions) -> None:
        missing = [pip for name, pip in NEEDED.items() if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"The planner backend 'transformers' needs {', '.join(missing)}: "
                f"pip install {' '.join(missing)}"
            )
        folder = Path(options.checkpoint).expanduser()
        if not options.checkpoint or not (folder / "config.json").is_file():
            raise ConfigError(
                f"checkpoint: '{options.checkpoint}' is not a folder with a config.json."
            )
        self._options, self._folder = options, folder
        self._wanted, self._one = True, threading.Lock()
        self._processor, self._model = self._load()

    @property
    def name(self) -> str:
        return self._folder.name

    def ask(self, request: Request) -> Answer:
        with self._one:
            self._wanted = True
            begun = time.monotonic()
            try:
                return self._generate(request, begun)
            except (RuntimeError, ValueError, KeyError, IndexError, TypeError, OSError) as error:
                # Also out of memory, and a prompt that is too long for the model.
                raise ModelError(
                    f"The model '{self.name}' failed: {type(error).__name__}: {str(error)[:300]}"
                ) from error

    def cancel(self) -> None:
        self._wanted = False

    def _load(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        options = self._options
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = options.dtype
        if dtype == "auto" and device == "cpu":
            dtype = "float32"
        common = {
            "local_files_only": True,
            "trust_remote_code": options.trust_remote_code,
        }
        try:
            processor = AutoProcessor.from_pretrained(self._folder, **common)
            model: Any = AutoModelForImageTextToText.from_pretrained(
                self._folder, dtype=dtype, **common
            )
            return processor, model.to(device).eval()
        except (OSError, ValueError, RuntimeError, ImportError, KeyError, AssertionError) as error:
            raise ConfigError(
                f"checkpoint: '{self._folder}' cannot be loaded on '{device}': "
                f"{type(error).__name__}: {str(error)[:400]}"
            ) from error

    def _generate(self, request: Request, begun: float) -> Answer:
        import torch
        from PIL import Image
        from transformers import StoppingCriteriaList

        content: list[dict[str, Any]] = [{"type": "text", "text": request.text}]
        if request.picture is not None:
            # The image as a server would see it.
            image = Image.open(BytesIO(request.picture.jpeg)).convert("RGB")
            content.insert(0, {"type": "image", "image": image})
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device)
        for name, value in inputs.items():
            if torch.is_floating_point(value):
                inputs[name] = value.to(self._model.dtype)
        sampling: dict[str, Any] = {"do_sample": False}
        if request.temperature > 0:
            sampling = {"do_sample": True, "temperature": request.temperature}
        end = begun + self._options.timeout

        def over(ids: Any, scores: Any, **_: Any) -> Any:
            stop = not self._wanted or time.monotonic() > end
            return torch.full((ids.shape[0],), stop, dtype=torch.bool, device=ids.device)

        with torch.inference_mode():
            made = self._model.generate(
                **inputs,
                **sampling,
                max_new_tokens=request.max_tokens,
                stopping_criteria=StoppingCriteriaList([over]),
            )
        if not self._wanted:
            raise ModelCancelled(f"The request to '{self.name}' was ended.")
        if time.monotonic() > end:
            raise ModelError(
                f"The model '{self.name}' did not answer within {self._options.timeout:g} s."
            )
        new = made[0, inputs["input_ids"].shape[1] :]
        text = self._processor.decode(new, skip_special_tokens=True)
        if not text.strip():
            raise ModelError(f"The model '{self.name}' said nothing.")
        return Answer(
            text,
            broken_off=len(new) >= request.max_tokens,
            seconds=time.monotonic() - begun,
            details={"tokens": len(new)},
        )
