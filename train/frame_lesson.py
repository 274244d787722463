"""A whole image classifier as a lesson: labelled pictures in, a plain Hugging Face folder out."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import RowError, UsageError
from pipelines.schema import Reason
from train import checkpoint, frame_labels
from train.config import Pace, RunSettings
from train.frame_config import FrameConfig, FrameData
from train.frame_data import read_picture
from train.frame_model import load, load_processor
from train.frame_screens import reduced, screen
from train.log import scratch
from train.loop import Worker, learn
from train.model import Means, local_model
from train.sampler import Pack, Plan, Ref

MOMENTUM = 0.9
"""Published for both SGD recipes."""
RATIOS = (3 / 4, 4 / 3)
"""Of a random crop's sides, to the picture's own: torchvision's RandomResizedCrop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameJob:
    """`train.account.Planned`: a classifier's fine-tuning, as the driver planned it. A stream is a class."""

    out: str
    config: FrameConfig
    start: str
    """The weights it begins with: a folder or a hub name."""
    labels: tuple[str, ...]
    plan: Plan
    total_steps: int
    class_weights: tuple[float, ...]
    """Of each class's loss."""
    stage: str = "frames"
    number: int = 0

    @property
    def run(self) -> RunSettings:
        """Where and how it computes."""
        return self.config.run

    @property
    def pace(self) -> Pace:
        """How it steps."""
        return self.config.pace

    def name(self, ref: Ref) -> str:
        """`label:row` among the class's pictures."""
        return f"{self.labels[ref.stream]}:{ref.row}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A pack as tensors: `pixels` (N, 3, H, W), and the index of each one's class (N,)."""

    pixels: Any
    classes: Any

    @property
    def tokens(self) -> int:
        """One a picture."""
        return len(self.classes)

    @property
    def targets(self) -> int:
        """One a picture."""
        return len(self.classes)

    def to(self, device: Any) -> "Pictures":
        """On another device."""
        return Pictures(pixels=self.pixels.to(device, non_blocking=True), classes=self.classes.to(device))


def train(job: FrameJob, worker: Worker) -> bool:
    """Fine-tune to the end and publish the model; False when told to leave before (a checkpoint is kept)."""
    return learn(job, worker, lambda found: FrameLesson(job, found))


class FrameLesson:
    """`train.loop.Lesson` of an `AutoModelForImageClassification`."""

    def __init__(self, job: FrameJob, found: Means) -> None:
        self._job, self._found = job, found
        self._rows = frame_labels.streams(frame_labels.load(job.out), job.labels)
        folder = local_model(job.start)
        self._processor = load_processor(folder)
        self._model = load(folder, job.labels, job.config.seed)
        probe = self._pixels([np.zeros((64, 64, 3), np.uint8)])
        self._flops = 3.0 * settle(self._model, probe)
        self.module = class_loss(self._model, job.class_weights, job.config.optimizer.label_smoothing)

    def line(self, workers: int) -> str:
        """What is computed with."""
        kind = self._model.config.model_type
        count = sum(p.numel() for p in self._model.parameters()) / 1e6
        return (
            f"{workers} worker{'s' * (workers != 1)} on {self._found.device}: {kind} of {count:.1f} million parameters, "
            f"{self._found.precision}{', DDP' if workers > 1 else ''}"
        )

    def optimizer(self, module: Any) -> Any:
        """AdamW, or SGD with momentum; biases and normalisation do not decay."""
        import torch

        settings, decay = self._job.config.optimizer, self._job.pace.weight_decay
        learning = [p for p in module.parameters() if p.requires_grad]
        parts = [([p for p in learning if p.ndim > 1], decay), ([p for p in learning if p.ndim <= 1], 0.0)]
        groups = [{"params": params, "weight_decay": share, "lr": 0.0, "peak": settings.rate} for params, share in parts]
        if settings.kind == "sgd":
            return torch.optim.SGD(groups, momentum=MOMENTUM)
        return torch.optim.AdamW(groups)

    def length(self, ref: Ref) -> int:
        """One a picture."""
        return 1

    def targets(self, ref: Ref) -> int:
        """One a picture."""
        return 1

    def batch(self, pack: Pack) -> Pictures:
        """Read, varied and prepared as the model's own processor does.

        Raises:
            RowError: a picture can no longer be read.
        """
        import torch

        shown = []
        for place, ref in enumerate(pack.refs):
            row, after = self._rows[ref.stream][ref.row], pack.after
            # a sample's variation belongs to its place in the plan: whoever takes it, also after an interruption
            key = (self._job.config.seed, after.epoch, after.window, after.pack, place)
            try:
                rgb = read_picture(Path(row.path))
            except UsageError as error:
                raise RowError(Reason.STAGE_ERROR, f"{row.path} could be read when the run began") from error
            shown.append(varied(rgb, self._job.config.data, np.random.default_rng(key)))
        return Pictures(pixels=self._pixels(shown), classes=torch.tensor([ref.stream for ref in pack.refs]))

    def flops(self, batch: Pictures) -> float:
        """A backward pass counts as two forward."""
        return self._flops * batch.tokens

    def publish(self, weights: dict[str, Any]) -> None:
        """Write the model, with its classes' names and its image processor, to OUT/model."""
        strange = set(weights) - set(self._model.state_dict())
        if strange or not weights:
            raise ValueError(f"weights that the model does not have: {sorted(strange)[:3]}")
        folder = scratch()
        self._model.load_state_dict(weights, strict=False)
        self._model.save_pretrained(folder)
        self._processor.save_pretrained(folder)
        checkpoint.publish(folder, self._job.out, "model")
        shutil.rmtree(folder, ignore_errors=True)

    def _pixels(self, frames: list[np.ndarray]) -> Any:
        return self._processor(images=frames, return_tensors="pt", input_data_format="channels_last")["pixel_values"]


def settle(model: Any, pixels: Any) -> float:
    """FLOPs of one picture, forward; parameters that an answer does not depend on no longer ask for a gradient.

    DDP would wait for those for ever (a mask token, for example, serves pretraining only).
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model.eval()
    counter = FlopCounterMode(display=False)
    with counter:
        answer = model(pixel_values=pixels).logits.sum()
    used = torch.autograd.grad(answer, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
    for parameter, gradient in zip([p for p in model.parameters() if p.requires_grad], used, strict=True):
        parameter.requires_grad_(gradient is not None)
    return float(counter.get_total_flops())


def class_loss(model: Any, class_weights: tuple[float, ...], label_smoothing: float) -> Any:
    """A module that takes `Pictures` and gives the sum of their weighted cross-entropies."""
    import torch

    class ClassLoss(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: Pictures) -> Any:
            logits = self.model(pixel_values=batch.pixels).logits.float()
            losses = torch.nn.functional.cross_entropy(
                logits, batch.classes, reduction="none", label_smoothing=label_smoothing
            )
            return (losses * losses.new_tensor(class_weights)[batch.classes]).sum()

    return ClassLoss()


def shown_to_model(rgb: np.ndarray, longest_edge_px: int) -> np.ndarray:
    """A picture (H, W, 3) uint8 as small as `curate` shows its frames; never enlarged."""
    import cv2

    scale = longest_edge_px / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def varied(rgb: np.ndarray, data: FrameData, rng: np.random.Generator) -> np.ndarray:
    """A picture as one epoch shows it: perhaps on a screen, made small, cropped, mirrored. Any size; uint8."""
    if rng.random() < data.screens:
        rgb = screen(reduced(rgb), rng)
    rgb = shown_to_model(rgb, data.longest_edge_px)
    if data.crop_least < 1:
        rgb = cropped(rgb, data.crop_least, rng)
    return np.ascontiguousarray(rgb[:, ::-1]) if data.flip and rng.random() < 0.5 else rgb


def cropped(rgb: np.ndarray, least: float, rng: np.random.Generator) -> np.ndarray:
    """A random crop of `least` to all of the area, its sides' ratio changed by up to a third (Szegedy et al., 2015)."""
    height, width = rgb.shape[:2]
    share, ratio = rng.uniform(least, 1), float(np.exp(rng.uniform(*np.log(RATIOS))))
    h = min(height, max(1, round(height * (share / ratio) ** 0.5)))
    w = min(width, max(1, round(width * (share * ratio) ** 0.5)))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return np.ascontiguousarray(rgb[top : top + h, left : left + w])
