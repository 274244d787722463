"""`preceptor train vlm` on the starter VLM beside a bare PyTorch loop over the same batches, which lie in memory.

    python -m tests.bench.training DATA OUT SETTING...

is the bare loop; the last line printed is JSON: seconds and loss of each step.
"""

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from tests.bench.timing import REPEATS, said_by

STEPS, KEPT = 7, 5
"""Optimiser steps of a run, and after how many of them it keeps a checkpoint; the first is warm-up."""
SETTINGS = (f"stages.all.max_steps={STEPS}", "stages.all.batch_packs=1", f"run.checkpoint_every_steps={KEPT}")
WORDS = ("liver", "lesion", "round", "bright", "rim", "beside", "portal", "vein", "shows", "a", "the", "no", "other")


def conversations(folder: Path, count: int = 128, sides: tuple[int, int] = (80, 640)) -> Path:
    """A LLaVA file of questions about pictures, with answers of 4 to 240 words, as uneven as real ones."""
    file = folder / "train.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        chance = np.random.default_rng(0)
        items = []
        for i in range(count):
            width, height = (int(s) for s in chance.integers(*sides, 2))
            PIL.Image.fromarray(chance.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"{i}.jpg")
            words = chance.choice(WORDS, int(np.clip(chance.lognormal(3.4, 0.9), 4, 240)))
            turns = [{"from": "human", "value": f"<image>\nWhat does picture {i} show?"},
                     {"from": "gpt", "value": " ".join(words)}]  # fmt: skip
            items.append({"id": str(i), "image": f"{i}.jpg", "conversations": turns})
        file.write_text(json.dumps(items))
    return file


def bench(folder: Path) -> None:
    """Samples a second of both, in turns."""
    from train import log

    data, out = conversations(folder / "data"), folder / "out"
    ratios, speeds, start_ups, saves = [], [], [], []
    for _ in range(REPEATS):
        shutil.rmtree(out, ignore_errors=True)
        started = time.perf_counter()
        settings = [word for s in SETTINGS for word in ("--set", s)]
        command = [sys.executable, "-m", "cluster.cli", "train", "vlm", "--data", str(data), "--out", str(out), *settings]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        whole_s = time.perf_counter() - started
        ours = log.read(str(out)).to_pylist()
        bare = json.loads(said_by("tests.bench.training", str(data), str(out), *SETTINGS))
        np.testing.assert_allclose([s["loss"] for s in ours], bare["losses"], rtol=1e-3)  # the same work indeed
        counted = [i for i in range(1, STEPS) if i != KEPT]  # a checkpoint is paid by the step behind it
        ours_s, bare_s = sum(ours[i]["seconds"] for i in counted), sum(bare["seconds"][i] for i in counted)
        samples = sum(len(ours[i]["samples"]) for i in counted)
        ratios.append(bare_s / ours_s)
        speeds.append((samples / ours_s, samples / bare_s))
        start_ups.append(whole_s - sum(s["seconds"] for s in ours))
        saves.append(ours[KEPT]["seconds"] - bare["seconds"][KEPT] * ours_s / bare_s)
    ours_speed, bare_speed = (statistics.median(s) for s in zip(*speeds, strict=True))
    print(f"{'bare PyTorch loop, batches in memory':46} {bare_speed:8.2f} samples/s")
    print(f"{'train vlm, one worker':46} {ours_speed:8.2f} samples/s  {statistics.median(ratios):.2f} of it; bar: 0.90")
    print(f"  start-up, index and publishing {statistics.median(start_ups):.1f} s; "
          f"a checkpoint (by default every 20 steps) {statistics.median(saves):.1f} s")  # fmt: skip


def planned(data: Path, out: Path, settings: tuple[str, ...]) -> tuple[Any, Any, Any]:
    """The stage that a run in `out` was planned to be, the reader of its index, and a collator for its model."""
    from pipelines.settings import with_settings
    from pipelines.store import Store
    from train import index, sources, vlm_recipes
    from train.batch import Collator
    from train.chat import Encoder, load_processor, marks
    from train.model import local_model
    from train.run import plan, with_sources

    config = with_settings(vlm_recipes.recipe("starter"), list(settings))
    named = sources.parse([str(data)])
    config = with_sources(config, named)
    processor = load_processor(local_model(config.model), config.vision)
    encode = Encoder(processor, config.vision, config.data.max_tokens)
    found = ((s.name, sources.samples(s, config.data.held_out_share)) for s in named)
    contents = index.build(Store(str(out)), found, encode)
    (job,) = plan(str(out), config, contents)
    reader = index.Reader(index.local_folder(str(out)), job.streams)

    def collator(model: Any) -> Collator:
        return Collator(processor, marks(processor), config.vision, model.model.get_rope_index)

    return job, reader, collator


def bare(data: Path, out: Path, settings: tuple[str, ...]) -> None:
    """The loop: the same model's loss, clipped gradients, AdamW; the batches lie on the device."""
    import torch

    from train.model import local_model, means, packed_loss, prepared
    from train.parts import groups, schedule
    from train.sampler import steps

    torch.set_num_threads(os.cpu_count() or 1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    job, reader, collator = planned(data, out, settings)
    stage, found = job.config.stages["all"], means(job.config.run, device)
    model = prepared(local_model(job.config.model), stage, found, job.config.seed).to(device)
    loss_of, collate = packed_loss(model), collator(model)
    packs = job.plan.packs(lambda r: reader.length(r.stream, r.row))
    chunks = list(itertools.islice(steps(packs, stage.batch_packs), job.total_steps))
    batches = [[collate([reader.document(r.stream, r.row) for r in pack.refs]).to(device) for pack in chunk]
               for chunk in chunks]  # fmt: skip
    optimizer = torch.optim.AdamW(groups(model, stage))
    parameters = [p for p in model.parameters() if p.requires_grad]
    model.train()
    seconds, losses = [], []
    for step, chunk in enumerate(batches):
        started, loss_sum = time.perf_counter(), 0.0
        targets = sum(len(b.wanted) for b in chunk)
        for b in chunk:
            with torch.autocast(device.type, torch.bfloat16, enabled=found.precision == "bf16"):
                loss = loss_of(b) / targets
            loss.backward()
            loss_sum += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, stage.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(step, job.total_steps, stage)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - started)
        losses.append(loss_sum)
    print(json.dumps({"seconds": seconds, "losses": losses}), flush=True)


if __name__ == "__main__":
    bare(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]))
