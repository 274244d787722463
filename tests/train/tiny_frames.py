"""A vision transformer (or ResNet) of almost no weights, and drawn pictures that a colour tells apart."""

from pathlib import Path

import numpy as np

from train.config import Pace, RunSettings
from train.frame_config import FrameConfig, FrameData, OptimizerSettings

RED, BLUE = "histopathology", "nonmedical"


def drawing(seed: int, *, red: bool) -> np.ndarray:
    """Red discs or blue squares on grey, otherwise varied."""
    import cv2

    rng = np.random.default_rng(seed)
    picture = np.full((int(rng.integers(70, 140)), int(rng.integers(70, 140)), 3), int(rng.integers(40, 250)), np.uint8)
    height, width = picture.shape[:2]
    for _ in range(20):
        x, y, radius, shade = int(rng.integers(0, width)), int(rng.integers(0, height)), 14, int(rng.integers(0, 60))
        if red:
            cv2.circle(picture, (x, y), radius, (230 - shade, 20, shade), -1)
        else:
            cv2.rectangle(picture, (x, y), (x + radius, y + radius), (shade, 60, 230 - shade), -1)
    return picture


def save(path: Path, rgb: np.ndarray) -> Path:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
    return path


def folder(root: Path, count: int = 6) -> Path:
    """`count` pictures of each colour."""
    for seed in range(count):
        save(root / RED / f"{seed}.png", drawing(seed, red=True))
        save(root / BLUE / f"{seed}.png", drawing(100 + seed, red=False))
    return root


def vit(folder: Path) -> str:
    """Random weights, a head of two other classes, and the processor of a picture of 32 px."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=32,
                       patch_size=8, num_labels=5)  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def siglip(folder: Path) -> str:
    """A whole SigLIP, words and pictures, as the hub has it: without a classifier."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    torch.manual_seed(0)
    part = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**part, "vocab_size": 64, "max_position_embeddings": 8, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
            "projection_size": 32}  # fmt: skip
    config = SiglipConfig(text_config=text, vision_config={**part, "image_size": 32, "patch_size": 8})
    SiglipModel(config).save_pretrained(folder)
    SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def resnet(folder: Path) -> str:
    """With batch normalisation, whose running statistics learn without a gradient."""
    import torch
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5)
    ResNetForImageClassification(config).save_pretrained(folder)
    ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875).save_pretrained(folder)
    return str(folder)


def config(model: str, *, pace: Pace | None = None, data: FrameData | None = None, **run: object) -> FrameConfig:
    return FrameConfig(
        recipe="tiny",
        model=model,
        pace=pace or Pace(epochs=6, batch_packs=2, warmup=0.1),
        optimizer=OptimizerSettings(rate=3e-3),
        data=data or FrameData(pack_pictures=3, crop_least=0.8),
        run=RunSettings(**{"gradient_checkpointing": False, "liger": False, "checkpoint_every_steps": 2, "threads": 1,
                           **run}),  # type: ignore[arg-type]
    )  # fmt: skip
