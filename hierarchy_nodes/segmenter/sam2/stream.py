"""The video predictor of the sam2 package, on images that come one by one.

The package's own inference state wants all images of a video beforehand and grows with them. Here
each thing has a memory of its own, of bounded size and in its own count of images: those on which
its mask was not believed are left out, as if they had not been, so that what the model attends to
is the last good looks at the thing.
"""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sam2.sam2_video_predictor import SAM2VideoPredictor

from hierarchy_nodes.segmenter.sam2.tracker import Guess

# Of the images that the released models were trained on.
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_ENDLESS = 1 << 30  # images in a stream
_OLDEST = 300  # the image of the prompt never counts as longer ago than this many images

Entry = dict[str, Any]


class StreamingPredictor(SAM2VideoPredictor):
    """Tells the overlap that it expects of its masks, which the package drops when tracking."""

    expected_iou = 0.0

    def _forward_sam_heads(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super()._forward_sam_heads(*args, **kwargs)
        self.expected_iou = float(outputs[2].max())
        return outputs


@dataclass
class Memory:
    """One thing: the image it was pointed at on, the latest good ones, and how many those were."""

    prompted: Entry
    latest: deque[Entry]
    count: int = 0


@dataclass
class _Image:
    """The present image, encoded once for all things."""

    features: list[torch.Tensor]
    positions: list[torch.Tensor]
    sizes: list[tuple[int, int]]
    shape: tuple[int, int]


@dataclass
class _Pending:
    """A guess that may be remembered."""

    entry: Entry = field(repr=False)
    prompted: bool


class Sam2Tracker:
    """A MaskTracker of a loaded model.

    Args:
        model: On its device, in evaluation mode.
        memory_frames: Most images in the memory of one thing, beside the one of its prompt.
        bfloat16: Whether to compute in that precision.
    """

    def __init__(self, model: StreamingPredictor, memory_frames: int, bfloat16: bool) -> None:
        self._model, self._bfloat16 = model, bfloat16
        # So many images back the model looks for masks; farther back it wants pointers only.
        self._span = model.num_maskmem * model.memory_temporal_stride_for_eval
        self._length = min(memory_frames, max(self._span, model.max_obj_ptrs_in_encoder))
        self._memories: dict[int, Memory] = {}
        self._pending: dict[int, _Pending] = {}
        self._image: _Image | None = None
        self._positions: list[torch.Tensor] | None = None

    def show(self, color: NDArray[np.uint8]) -> None:
        model = self._model
        with self._inference():
            image = torch.from_numpy(np.ascontiguousarray(color)).to(model.device)
            image = image.permute(2, 0, 1)[None].float() / 255
            side = (model.image_size, model.image_size)
            image = F.interpolate(image, side, mode="bicubic", antialias=True).clamp(0, 1)
            image -= image.new_tensor(_MEAN)[:, None, None]
            image /= image.new_tensor(_SPREAD)[:, None, None]
            encoded = model.forward_image(image)
            _, features, positions, sizes = model._prepare_backbone_features(encoded)
        self._image = _Image(features, positions, sizes, color.shape[:2])
        self._pending.clear()

    def point(self, key: int, x: float, y: float) -> Guess:
        size = self._model.image_size
        device = self._model.device
        points = {
            "point_coords": torch.tensor([[[x * size, y * size]]], device=device),
            "point_labels": torch.ones(1, 1, dtype=torch.int32, device=device),
        }
        empty: dict[str, dict[int, Entry]] = {
            "cond_frame_outputs": {},
            "non_cond_frame_outputs": {},
        }
        return self._step(key, points, 0, empty)

    def follow(self, key: int) -> Guess:
        memory = self._memories[key]
        # What this image would count as; the prompt's is image 0.
        now = min(memory.count + 1, _OLDEST)
        latest = {now - back: entry for back, entry in enumerate(reversed(memory.latest), start=1)}
        outputs = {"cond_frame_outputs": {0: memory.prompted}, "non_cond_frame_outputs": latest}
        return self._step(key, None, now, outputs)

    def remember(self, key: int) -> None:
        pending = self._pending.pop(key)
        if pending.prompted:
            self._memories[key] = Memory(pending.entry, deque(maxlen=self._length))
            return
        memory = self._memories[key]
        memory.latest.append(pending.entry)
        memory.count += 1
        if len(memory.latest) > self._span:
            memory.latest[-self._span - 1].pop("maskmem_features", None)

    def forget(self, key: int) -> None:
        self._memories.pop(key, None)
        self._pending.pop(key, None)

    @property
    def keys(self) -> set[int]:
        """The things that are remembered."""
        return set(self._memories)

    def state_bytes(self) -> int:
        """Memory that is held for the things, without the model itself and the present image."""
        held: dict[int, int] = {}
        for memory in self._memories.values():
            for entry in (memory.prompted, *memory.latest):
                for value in entry.values():
                    for tensor in value if isinstance(value, list) else [value]:
                        storage = tensor.untyped_storage()
                        held[storage.data_ptr()] = storage.nbytes()
        return sum(held.values())

    def _step(self, key: int, points: Any, now: int, outputs: dict[str, dict[int, Entry]]) -> Guess:
        image, model = self._image, self._model
        if image is None:
            raise RuntimeError("No image has been shown yet.")
        with self._inference():
            found = model.track_step(
                frame_idx=now,
                is_init_cond_frame=points is not None,
                current_vision_feats=image.features,
                current_vision_pos_embeds=image.positions,
                feat_sizes=image.sizes,
                point_inputs=points,
                mask_inputs=None,
                output_dict=outputs,
                num_frames=_ENDLESS,
            )
            logits = found["pred_masks"].float()
            mask = F.interpolate(logits, image.shape, mode="bilinear", align_corners=False) > 0
            look = self._look(logits > 0, image)
            score = float(found["object_score_logits"].float().sigmoid())
        # The same for all images and things.
        if self._positions is None:
            self._positions = found["maskmem_pos_enc"]
        entry = {
            "maskmem_features": found["maskmem_features"],
            "maskmem_pos_enc": self._positions,
            "obj_ptr": found["obj_ptr"],
        }
        self._pending[key] = _Pending(entry, points is not None)
        iou = min(max(model.expected_iou, 0.0), 1.0)
        return Guess(mask[0, 0].cpu().numpy(), score, iou, look)

    def _look(self, mask: torch.Tensor, image: _Image) -> NDArray[np.float64]:
        """Mean of the image features under the mask."""
        size = image.sizes[-1]
        weights = F.interpolate(mask.float(), size, mode="area").flatten()
        features = image.features[-1][:, 0].float()
        mean = weights @ features / weights.sum().clamp(min=1e-6)
        return mean.float().cpu().numpy().astype(float)

    def _inference(self) -> AbstractContextManager[Any]:
        return _Contexts(self._model.device.type if self._bfloat16 else "")


class _Contexts(AbstractContextManager):
    """No gradients; and bfloat16 on the device type that is named."""

    def __init__(self, device: str) -> None:
        self._inner: list[Any] = [torch.inference_mode()]
        self._inner.append(torch.autocast(device, torch.bfloat16) if device else nullcontext())

    def __enter__(self) -> None:
        for context in self._inner:
            context.__enter__()

    def __exit__(self, *error: Any) -> None:
        for context in reversed(self._inner):
            context.__exit__(*error)
