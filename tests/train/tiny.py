"""A Qwen2-VL of the starter's words and almost no weights, and little datasets: training in seconds."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from pipelines.store import Store
from tests.pipelines import datasets
from train import index, sources
from train.account import Job
from train.chat import Encoder, load_processor, marks
from train.config import DataSettings, Rates, RunSettings, Stage, TrainConfig, VisionSettings
from train.run import plan, with_sources
from train.sources import Source
from train.starter_vlm import VOCABULARY, starter_vlm

VISION = VisionSettings(image_max_tokens=16, video_max_tokens=32, max_frames=8)
RATES = Rates(vision=1e-2, projector=1e-2, language=1e-2)


def model(folder: Path, seed: int = 0) -> str:
    """Random weights, the starter's tokenizer and processors."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    processor = load_processor(str(starter_vlm()), VISION)
    known = Qwen2VLConfig.from_pretrained(starter_vlm())
    text = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True, "pad_token_id": 0,
            "bos_token_id": 1, "eos_token_id": 2, "dtype": "float32",
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}  # fmt: skip
    vision = {"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 32, "mlp_ratio": 2}
    config = Qwen2VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True, dtype="float32",
        **{f"{k}_token_id": getattr(known, f"{k}_token_id") for k in ("vision_start", "vision_end", "image", "video")},
    )  # fmt: skip
    torch.manual_seed(seed)
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def encoder(folder: str, max_tokens: int = 512) -> Encoder:
    return Encoder(load_processor(folder, VISION), VISION, max_tokens)


def curated(out: Path, videos: int = 3, clips: int = 4) -> str:
    """A curated dataset whose clips have pictures and captions; the sources are gone."""
    pictures = {f"v{v}": [datasets.picture(f"v{v}", v * clips + c) for c in range(clips)] for v in range(videos)}
    rows = [
        datasets.ok(name, shown, [datasets.clip(name, 20.0 * i, p, f"The {name} shows lesion number {i}.") for i, p in
                                  enumerate(shown)])
        for name, shown in pictures.items()
    ]  # fmt: skip
    return datasets.build(out, [[row] for row in rows], [p for shown in pictures.values() for p in shown])


def llava(folder: Path, count: int = 8) -> str:
    """A conversation file: every third without a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for i in range(count):
        question = {"from": "human", "value": f"What is number {i}?"}
        answer = {"from": "gpt", "value": f"It is {i} of {count}. " * (1 + i % 4)}
        item = {"id": f"q{i}", "conversations": [question, answer]}
        if i % 3:
            array = np.full((60 + 10 * i, 90, 3), 20 * i, np.uint8)
            PIL.Image.fromarray(array).save(folder / f"{i}.png")
            item["image"] = f"{i}.png"
            item["conversations"][0]["value"] = f"<image>\nWhat is number {i}?"
        items.append(item)
    (folder / "train.json").write_text(json.dumps(items))
    return str(folder / "train.json")


def config(folder: str, *, stage: Stage | None = None, **run: object) -> TrainConfig:
    return TrainConfig(
        recipe="tiny",
        model=folder,
        stages={"all": stage or Stage(rates=RATES, batch_packs=3, warmup=0.0)},
        vision=VISION,
        data=DataSettings(max_tokens=256, window=8, held_out_share=0.0),
        run=RunSettings(**{"gradient_checkpointing": False, "checkpoint_every_steps": 2, "threads": 1, **run}),  # type: ignore[arg-type]
    )


def jobs(out: Path, data: Sequence[Source], given: TrainConfig) -> tuple[Job, ...]:
    """The stages of a run over the data, indexed in `out`."""
    given = with_sources(given, data)
    encode = encoder(given.model, given.data.max_tokens)
    contents = index.build(Store(str(out)), ((s.name, sources.samples(s, 0.0)) for s in data), encode)
    return tuple(plan(str(out), given, contents))


__all__ = ["RATES", "VISION", "config", "curated", "encoder", "jobs", "llava", "marks", "model"]
