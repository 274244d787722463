"""Complete training runs by name: data, not scripts."""

from collections.abc import Callable

from pipelines.errors import UsageError
from train.config import DataSettings, LoraSettings, Rates, RunSettings, Stage, TrainConfig, VisionSettings


def starter() -> TrainConfig:
    """The starter VLM on two cores: everything but the embeddings, small pictures, short sequences.

    The vision tower starts at random and is small: it and the projector take far higher rates than a pretrained one.
    """
    return TrainConfig(
        recipe="starter",
        stages={
            "all": Stage(kinds=("text", "image"), rates=Rates(vision=5e-4, projector=1e-3, language=5e-5), batch_packs=4),
        },
        vision=VisionSettings(image_max_tokens=100, video_max_tokens=512, max_frames=32),
        data=DataSettings(max_tokens=1024, window=256),
        run=RunSettings(gradient_checkpointing=False, checkpoint_every_steps=20),
    )


def hub() -> TrainConfig:
    """OpenBiomedVid's recipe for Qwen2-VL: one stage, everything but the embeddings at 1e-5, 64 packs of 16,384 tokens."""
    return TrainConfig(recipe="hub", model="Qwen/Qwen2-VL-2B-Instruct", stages={"all": Stage()})


def staged() -> TrainConfig:
    """ViDRiP-LLaVA's four stages on Qwen2-VL: projector, pictures, pictures and films, films with LoRA."""
    published = {"batch_packs": 32, "warmup": 0.03}
    whole = Rates(vision=2e-6, projector=1e-5, language=1e-5, embeddings=1e-5)
    return TrainConfig(
        recipe="staged",
        model="Qwen/Qwen2-VL-7B-Instruct",
        stages={
            "projector": Stage(kinds=("image",), rates=Rates(projector=1e-3), **published),  # type: ignore[arg-type]
            "images": Stage(kinds=("image",), rates=whole, **published),  # type: ignore[arg-type]
            "mixed": Stage(rates=whole, **published),  # type: ignore[arg-type]
            "video": Stage(
                kinds=("video",), rates=Rates(vision=2e-6, projector=1e-5, language=1e-5), lora=LoraSettings(rank=128),
                **published,  # type: ignore[arg-type]
            ),
        },
        vision=VisionSettings(max_frames=32),
        run=RunSettings(parallel="fsdp"),
    )  # fmt: skip


RECIPES: dict[str, Callable[[], TrainConfig]] = {"starter": starter, "hub": hub, "staged": staged}


def recipe(name: str) -> TrainConfig:
    """The run called `name`.

    Raises:
        UsageError: naming the recipes there are.
    """
    if name not in RECIPES:
        raise UsageError(f"There is no training recipe '{name}'; there are {', '.join(RECIPES)}.")
    return RECIPES[name]()
