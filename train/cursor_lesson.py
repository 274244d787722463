"""How the cursor net was learned: `python -m train.cursor_lesson OUT.safetensors`; 25 minutes on two cores.

Drawn pictures only (`train.cursor_pictures`). Loss as of CenterNet (Zhou et al. 2019): focal on the heat map of hot spots,
smooth L1 on offsets and sizes near them.
"""

import argparse
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actors.cursor_net import STRIDE, UNIT_PX, CursorNet, network
from pipelines.stages.recogniser import Likely
from train.cursor_backgrounds import SIDE_PX
from train.cursor_pictures import Shown, drawn

_HEAT_PX, _NEAR_PX = 3.0, 6.0
"""Deviation of a hot spot's heat, and how far around it offsets and sizes are learned."""
_POSITIVE = 0.64
"""Cells this hot count as hot spots: one to four of each, wherever between the cells it stands."""
_RIGHT_PX, _RIGHT_SHARE = 3.0, 0.25
"""A place is a cursor's if it is so near to its hot spot, or within that share of its size."""
_BATCH, _SHARD = 32, 1000
_RATE, _WARM_STEPS, _DECAY, _MOST_NORM = 2e-3, 200, 1e-4, 5.0
_REPORT_STEPS = 100


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some pictures (n, SIDE_PX, SIDE_PX) uint8 and what is in each."""

    lumas: np.ndarray
    shown: tuple[tuple[Shown, ...], ...]


def shard(seed: int, number: int, count: int = _SHARD) -> Drawn:
    """Always the same pictures for a seed and a number."""
    rng = np.random.default_rng([seed, number])
    made = [drawn(rng) for _ in range(count)]
    return Drawn(np.stack([luma for luma, _ in made]), tuple(tuple(shown) for _, shown in made))


def targets(shown: Sequence[Sequence[Shown]], side_px: int = SIDE_PX) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heat (n, cells, cells), offsets in cells and logarithm of size (n, 3, cells, cells), and where those count."""
    middle = np.arange(side_px // STRIDE, dtype=np.float32) * STRIDE + STRIDE / 2
    heat = np.zeros((len(shown), len(middle), len(middle)), np.float32)
    sought, counts = np.zeros((len(shown), 3, *heat.shape[1:]), np.float32), np.zeros_like(heat)
    for i, cursors in enumerate(shown):
        for c in cursors:
            across, down = np.broadcast_arrays((c.x - middle)[None], (c.y - middle)[:, None])
            squared = across**2 + down**2
            heat[i] = np.maximum(heat[i], np.exp(-squared / (2 * _HEAT_PX**2)))
            near = squared < _NEAR_PX**2
            wanted = np.stack([across / STRIDE, down / STRIDE, np.full_like(across, math.log(c.size / UNIT_PX))])
            sought[i][:, near] = wanted[:, near]
            counts[i][near] = 1
    return heat, sought, counts


def losses(predicted: Any, heat: Any, sought: Any, counts: Any) -> tuple[Any, Any]:
    """Of the heat map, a picture, and of offsets and sizes, a cell that counts; tensors as `network` and `targets` give."""
    from torch.nn.functional import logsigmoid, smooth_l1_loss

    logit, hot = predicted[:, 0], (heat > _POSITIVE).float()
    likely = logit.sigmoid()
    focal = hot * (1 - likely) ** 2 * logsigmoid(logit) + (1 - hot) * (1 - heat) ** 4 * likely**2 * logsigmoid(-logit)
    apart = smooth_l1_loss(predicted[:, 1:], sought, reduction="none").sum(1)
    return -focal.sum() / len(heat), (apart * counts).sum() / (counts.sum() + 1)


def learn(shards: Sequence[Drawn], epochs: int, seed: int, say: Any = print) -> Any:
    """The net after so many passes over the pictures, each time in other brightness and contrast."""
    import torch

    torch.manual_seed(seed)
    net = network().to(memory_format=torch.channels_last)
    torch.nn.init.constant_(net.head.bias[:1].data, -5.0)  # a hot spot is rare
    optimizer = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=_DECAY)
    total = epochs * sum(len(s.lumas) // _BATCH for s in shards)
    recent: list[tuple[float, float]] = []
    for step, (luma, *wanted) in enumerate(_batches(shards, epochs, seed)):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1, step / _WARM_STEPS) * (1 + math.cos(math.pi * step / total)) / 2
        contrast, brightness = (torch.rand(2, len(luma), 1, 1, 1) - 0.5).unbind(0)
        seen = ((luma - 0.5) * (1 + 0.4 * contrast) + 0.5 + 0.2 * brightness).clamp(0, 1)
        focal, apart = losses(net(seen), *wanted)
        optimizer.zero_grad()
        (focal + apart).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), _MOST_NORM)
        optimizer.step()
        recent = [*recent, (float(focal.detach()), float(apart.detach()))][-_REPORT_STEPS:]
        if (step + 1) % _REPORT_STEPS == 0:
            say("step {} of {}: heat {:.3f}, offsets and sizes {:.3f}".format(step + 1, total, *np.mean(recent, axis=0)))
    return net.eval()


def calibration(net: Any, unseen: Drawn) -> tuple[float, float]:
    """Slope and middle of the logistic curve from a peak's heat to the share of such peaks that are cursors."""
    from scipy.special import logit
    from sklearn.linear_model import LogisticRegression

    asked = CursorNet(net)
    peaks, right = [], []
    for luma, shown in zip(unseen.lumas, unseen.shown, strict=True):
        for place in asked.places(luma, 0.0):
            peaks.append(place.likelihood)
            right.append(any(_is_at(place, cursor) for cursor in shown))
    slope, middle = net.calibration.tolist()
    heat = middle + logit(peaks) / slope
    fitted = LogisticRegression(C=np.inf).fit(heat[:, None], right)
    return float(fitted.coef_[0, 0]), float(-fitted.intercept_[0] / fitted.coef_[0, 0])


def _is_at(place: Likely, cursor: Shown) -> bool:
    return math.hypot(place.x - cursor.x, place.y - cursor.y) <= max(_RIGHT_PX, _RIGHT_SHARE * cursor.size)


def _batches(shards: Sequence[Drawn], epochs: int, seed: int) -> Iterator[tuple[Any, ...]]:
    import torch

    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for number in rng.permutation(len(shards)):
            part = shards[number]
            order = rng.permutation(len(part.lumas))
            for start in range(0, len(order) - _BATCH + 1, _BATCH):
                chosen = order[start : start + _BATCH]
                wanted = targets([part.shown[i] for i in chosen])
                yield torch.from_numpy(part.lumas[chosen])[:, None].float() / 255, *map(torch.from_numpy, wanted)


def main() -> None:
    """Draws, learns, writes the weights."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        numbers = range(asked.pictures // _SHARD + 1)
        *shards, unseen = pool.map(shard, [asked.seed] * len(numbers), numbers)
    net = learn(shards, asked.epochs, asked.seed)
    net.calibration[:] = net.calibration.new_tensor(calibration(net, unseen))
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, asked.out)


if __name__ == "__main__":
    main()
