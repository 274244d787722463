"""Packed sequences beside batches padded to their longest: how full they are, and the tokens a second of training.

    python -m tests.bench.packing DATA OUT

The last line printed is JSON.
"""

import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from tests.bench.timing import REPEATS, median_s, said_by
from tests.bench.training import conversations, planned

TRAINED_PACKS = 3


def bench(folder: Path) -> None:
    """Shares over a whole epoch; speed over its first packs, both ways with the same samples."""
    found = json.loads(said_by("tests.bench.packing", str(conversations(folder / "data", 512)), str(folder / "out")))
    print(f"{'padded to the longest of a batch':46} {found['padded']:8.1%} of the places hold tokens  "
          f"{found['padded_speed']:6.0f} tokens/s")  # fmt: skip
    print(f"{'packed (share of 1024 places)':46} {found['packed']:8.1%} of the places hold tokens  "
          f"{found['packed_speed']:6.0f} tokens/s, {found['gain']:.2f} x padded")  # fmt: skip
    print(f"  {found['samples']} samples of {found['shortest']} to {found['longest']} tokens, "
          f"{found['batch']} a padded batch, as many as a pack holds; empty places of a pack are not computed")  # fmt: skip


def measure(data: Path, out: Path) -> None:
    """Print the shares and speeds."""
    import torch
    from transformers import AutoModelForImageTextToText

    from train.starter_vlm import starter_vlm

    torch.set_num_threads(os.cpu_count() or 1)
    job, reader, collator = planned(data, out, ())
    packs = [pack.refs for pack in job.plan.packs(lambda r: reader.length(r.stream, r.row))]
    length = {r: reader.length(r.stream, r.row) for refs in packs for r in refs}
    batch = round(len(length) / len(packs))
    plain = _batched(list(length), batch)
    padded_places = sum(len(refs) * max(length[r] for r in refs) for refs in plain)
    tokens = sum(length.values())

    model = AutoModelForImageTextToText.from_pretrained(starter_vlm(), dtype=torch.float32, attn_implementation="sdpa")
    model.get_input_embeddings().weight.requires_grad_(False)
    collate = collator(model)
    alone = {r: collate([reader.document(r.stream, r.row)]) for refs in packs[:TRAINED_PACKS] for r in refs}
    packed = [collate([reader.document(r.stream, r.row) for r in refs]) for refs in packs[:TRAINED_PACKS]]
    batches = [padded([alone[r] for r in refs]) for refs in _batched(list(alone), batch)]
    work = [({"input_ids": b.input_ids, "position_ids": b.position_ids, **b.vision}, (0, b.keep), b.wanted) for b in packed]
    losses = [sum(_learn(model, *step) for step in steps) for steps in (work, batches)]  # warm-up, and the same work indeed
    assert abs(losses[0] - losses[1]) < 1e-3 * losses[0], losses
    speeds: dict[str, list[float]] = {"packed": [], "padded": []}
    for _ in range(REPEATS):
        for name, steps in (("packed", work), ("padded", batches)):
            seconds = median_s(lambda steps=steps: [_learn(model, *step) for step in steps], 1)
            speeds[name].append(sum(length[r] for r in alone) / seconds)
    medians = {f"{name}_speed": statistics.median(found) for name, found in speeds.items()}
    gain = statistics.median(a / b for a, b in zip(speeds["packed"], speeds["padded"], strict=True))
    print(json.dumps({
        "packed": tokens / (len(packs) * job.config.data.max_tokens), "padded": tokens / padded_places, **medians,
        "gain": gain, "samples": len(length), "shortest": min(length.values()), "longest": max(length.values()),
        "batch": batch,
    }), flush=True)  # fmt: skip


def _batched(samples: list[Any], batch: int) -> list[list[Any]]:
    """The samples in the epoch's order, `batch` at a time."""
    return [samples[i : i + batch] for i in range(0, len(samples), batch)]


def padded(documents: list[Any]) -> tuple[dict[str, Any], tuple[Any, Any], Any]:
    """Batches of one document each as one padded batch: the model's arguments, (rows, places) learned, tokens wanted."""
    import torch

    longest = max(d.input_ids.shape[1] for d in documents)
    ids = torch.zeros(len(documents), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    positions = torch.ones(3, len(documents), longest, dtype=torch.long)
    vision: dict[str, list[Any]] = {}
    for row, document in enumerate(documents):
        size = document.input_ids.shape[1]
        ids[row, :size], mask[row, :size] = document.input_ids[0], 1
        positions[:, row, :size] = document.position_ids[1:, 0]
        for name, value in document.vision.items():
            vision.setdefault(name, []).append(value)
    arguments = {"input_ids": ids, "attention_mask": mask, "position_ids": positions,
                 **{name: torch.cat(values) for name, values in vision.items()}}  # fmt: skip
    rows = torch.cat([torch.full_like(d.keep, row) for row, d in enumerate(documents)])
    places, wanted = torch.cat([d.keep for d in documents]), torch.cat([d.wanted for d in documents])
    return arguments, (rows, places), wanted


def _learn(model: Any, arguments: dict[str, Any], learned: tuple[Any, Any], wanted: Any) -> float:
    """Forward and backward; the head sees learned places only, both ways."""
    import torch

    hidden = model.model(**arguments, use_cache=False).last_hidden_state[learned]
    loss = torch.nn.functional.cross_entropy(model.lm_head(hidden), wanted, reduction="sum")
    loss.backward()
    model.zero_grad(set_to_none=True)
    return float(loss)


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]))
