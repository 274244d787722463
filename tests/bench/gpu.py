"""Training on a GPU: a model of Qwen2-VL-2B's shape with random weights, by attention and kernels, beside a bare loop.

    python -m tests.bench.gpu FOLDER [--like MODEL] [--little] [--only NAME]

For each way of computing: samples and tokens a second, model FLOPs utilisation, peak memory, medians of several steps.
Weights do not matter for speed; words and marks are those of the starter, or of the model that is named. `--little` runs
next to no weights, on a CPU if need be: to see that it works.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.training import conversations, planned
from tests.train.alone import Alone

STEPS, WARM = 8, 3
"""Optimiser steps of a run, and how many of them are not counted."""
PACK_TOKENS = 16_384
"""Published: of a packed sequence, and of a film."""
TEXT = {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
        "num_key_value_heads": 2, "vocab_size": 151_936,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}}  # fmt: skip
EYE = {"depth": 32, "embed_dim": 1280, "num_heads": 16, "hidden_size": 1536, "mlp_ratio": 4}
LITTLE_TEXT = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
               "num_key_value_heads": 1,
               "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}}  # fmt: skip
LITTLE_EYE = {"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 64, "mlp_ratio": 2}
WAYS = {
    "SDPA": ("run.attention=sdpa", "run.liger=false"),
    "FlashAttention-2": ("run.liger=false",),
    "FlashAttention-2, Liger": (),
    "FlashAttention-2, compiled": ("run.liger=false", "run.compile=true"),
}
FEWER = 4
"""Of so many layers one is left where the ways of Ray Train are compared: a whole model takes minutes to read and write."""
RAY_WAYS = {
    "Ray Train": (),
    "Ray Train, FSDP2": ("run.parallel=fsdp",),
    "Ray Train, LoRA": ("stages.all.lora.rank=128",),
    "Ray Train, compiled": ("run.compile=true",),
}


def model(folder: Path, like: Path, *, whole: bool, one_of: int = 1) -> Path:
    """Qwen2-VL-2B's shape, or next to nothing, with random weights and the words and marks of the model `like`; of `one_of`
    layers one is there."""
    import torch
    from transformers import AutoProcessor, Qwen2VLConfig, Qwen2VLForConditionalGeneration

    if not (folder / "config.json").exists():
        known = Qwen2VLConfig.from_pretrained(like).to_dict()
        text, eye = (TEXT, EYE) if whole else (LITTLE_TEXT, LITTLE_EYE)
        text = {**text, "num_hidden_layers": max(1, text["num_hidden_layers"] // one_of)}
        eye = {**eye, "depth": max(1, eye["depth"] // one_of)}
        known["text_config"].pop("layer_types")  # one for each layer: made anew
        config = Qwen2VLConfig(**{**known, "text_config": {**known["text_config"], **text},
                                  "vision_config": {**known["vision_config"], **eye}})  # fmt: skip
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            made = Qwen2VLForConditionalGeneration(config)
        made.to(torch.bfloat16).save_pretrained(folder)
        AutoProcessor.from_pretrained(like).save_pretrained(folder)
    return folder


def films(folder: Path, count: int) -> Path:
    """A LLaVA file of questions about a minute of 720p, which fills a pack."""
    from tests.media import write_video

    file = folder / "films.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_video(folder / "film.mp4", seconds=60, size=(1280, 720), audio=False)
        turns = [{"from": "human", "value": "<video>\nWhat is shown?"}, {"from": "gpt", "value": "a test " * 40}]
        file.write_text(json.dumps([{"id": str(i), "video": "film.mp4", "conversations": turns} for i in range(count)]))
    return file


class Here(Alone):
    """A worker on this machine's GPU."""

    def device(self) -> Any:
        import torch

        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def ours(data: Path, out: Path, settings: tuple[str, ...]) -> None:
    """The loop of `train vlm` without Ray; its log is in `out`."""
    from train.loop import learn
    from train.vlm_lesson import VlmLesson

    class Unpublished(VlmLesson):
        def publish(self, weights: dict[str, Any]) -> None:
            """Nobody wants it."""

    job, _, _ = planned(data, out, settings)
    worker = Here(out / "kept")
    learn(job, worker, lambda found: Unpublished(job, found))
    print(worker.lines[0])


FAILED: list[str] = []


def attempted(name: str, module: str, *arguments: str) -> str | None:
    """The last line of a module in a process of its own; None, and the reason on the console, where it failed."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False, capture_output=True, text=True)
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or ["without a word"]
    if done.returncode:
        print(f"{name:40} failed ({done.returncode}): {lines[-1]}", flush=True)
        FAILED.append(name)
        return None
    return lines[-1]


def log_line(out: Path) -> str:
    """What the log in `out` says."""
    from train import log

    steps = log.read(str(out)).to_pylist()[WARM:]
    seconds = statistics.median(s["seconds"] for s in steps)
    tokens = statistics.median(s["tokens"] / s["seconds"] for s in steps)
    samples = sum(len(s["samples"]) for s in steps) / sum(s["seconds"] for s in steps)
    mfu = [s["mfu"] for s in steps if s["mfu"] is not None]
    share = f"MFU {statistics.median(mfu):4.0%}" if mfu else ""
    return (f"{seconds:6.2f} s a step {tokens:8.0f} tokens/s {samples:7.2f} samples/s  "
            f"{steps[-1]['memory_gb']:5.1f} GB {share}  loss {steps[-1]['loss']:.3f}")  # fmt: skip


def bare_line(said: str) -> str:
    """What the bare loop says."""
    found = json.loads(said)
    return f"{statistics.median(found['seconds'][WARM:]):6.2f} s a step, loss {found['losses'][-1]:.3f}"


@dataclass(frozen=True)
class Row:
    """One line of the table: what is learned from, of how many layers one is left, by what, with which settings."""

    kind: str
    way: str
    by: str
    settings: tuple[str, ...] = ()
    one_of: int = 1

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.way}"


def rows() -> Iterator[Row]:
    """Every way and the bare loop, which computes as the best of them; then Ray Train's ways, with fewer layers."""
    for kind in ("films", "pictures"):
        yield from (Row(kind, way, "alone", settings) for way, settings in WAYS.items())
        yield Row(kind, "bare loop", "bare")
        yield Row(kind, "fewer layers, without Ray", "alone", one_of=FEWER)
        yield from (Row(kind, f"fewer layers, {way}", "ray", settings, FEWER) for way, settings in RAY_WAYS.items())


def report(folder: Path, like: Path, *, whole: bool, only: str) -> None:
    """The rows whose name has `only` in it."""
    tokens = PACK_TOKENS if whole else 1024
    common = ("data.threads=4", f"data.max_tokens={tokens}", f"vision.image_max_tokens={min(tokens // 2, 1280)}",
              f"vision.video_max_tokens={tokens - 200}", "vision.max_frames=420", "stages.all.kinds=text,image,video",
              "stages.all.batch_packs=1", f"stages.all.max_steps={STEPS}", "run.gradient_checkpointing=true")  # fmt: skip
    for row in (r for r in rows() if only in r.name):
        if row.kind == "films":
            data = films(folder / "films", STEPS)
        else:
            data = conversations(folder / "pictures", 25 * STEPS, (400, 1200) if whole else (80, 640))
        shape = model(folder / f"model_{row.one_of}", like, whole=whole, one_of=row.one_of)
        out, settings = folder / re.sub(r"\W+", "_", row.name), (f"model={shape}", *common, *row.settings)
        if row.by == "alone":
            said = attempted(row.name, "tests.bench.gpu", "--ours", str(out), str(data), *settings)
        elif row.by == "bare":
            said = attempted(row.name, "tests.bench.training", str(data), str(out), *settings)
        else:
            words = [word for s in settings for word in ("--set", s)]
            said = attempted(row.name, "cluster.cli", "train", "vlm", "--data", str(data), "--out", str(out), *words)
        if said is not None:
            print(f"{row.name:40} {bare_line(said) if row.by == 'bare' else log_line(out)}", flush=True)


def main() -> None:
    """The command."""
    if sys.argv[1:2] == ["--ours"]:
        ours(Path(sys.argv[3]), Path(sys.argv[2]), tuple(sys.argv[4:]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--like", type=Path)
    parser.add_argument("--little", action="store_true")
    parser.add_argument("--only", default="", help="part of a row's name")
    given = parser.parse_args()
    if given.like is None:
        from train.starter_vlm import starter_vlm

        given.like = starter_vlm()
    report(given.folder, given.like, whole=not given.little, only=given.only)
    if FAILED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
