"""A small net that knows drawn cursors, for those that lie still: there nothing differs, and the picture alone must tell.

It was learned by `train.cursor_lesson`, from drawn pictures only. CenterNet's way (Zhou et al. 2019, "Objects as Points"): a
heat map of hot spots, with each one's offset and size, here at a quarter of the picture's size.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from actors import weights
from pipelines.stages.recogniser import Likely

WEIGHTS = Path(__file__).parent / "heads" / "cursor_net.safetensors"
STRIDE, UNIT_PX = 4, 16
"""Pixels of a cell of the heat map; sizes are learned as logarithms of shares of so many pixels."""
_MEAN, _DEVIATION = 0.45, 0.25
"""Of luma in 0..1."""
_DILATIONS, _CHANNELS = (1, 1, 2, 4, 8, 1), 32
"""It sees some 60 pixels to each side: the largest cursors and what is around them."""
_NEAR_PX = 48
"""Half a part's edge, when only a place is looked at."""
_AT_ONCE = 32
"""Parts computed together: bounds the memory."""


def network() -> Any:
    """The untrained net: luma (n, 1, h, w) in 0..1, sides divisible by 4, to (n, 4, h/4, w/4).

    Channels: logit of a hot spot, its offset from the cell's middle in cells (x, y), logarithm of its size / 16 pixels.
    `calibration` holds slope and middle of the logistic curve from a hot spot's heat to its likelihood.
    """
    import torch
    from torch import nn

    def convolution(inputs: int, outputs: int, edge: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
        padding = dilation * (edge // 2)
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, edge, stride, padding, dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )

    class Net(nn.Module):  # type: ignore[misc]  # torch has no types here
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(convolution(1, _CHANNELS // 2, 5, 2), convolution(_CHANNELS // 2, _CHANNELS, 3, 2))
            self.body = nn.ModuleList([convolution(_CHANNELS, _CHANNELS, dilation=d) for d in _DILATIONS])
            self.head = nn.Conv2d(_CHANNELS, 4, 1)
            self.register_buffer("calibration", torch.tensor([1.0, 0.5]))

        def forward(self, luma: torch.Tensor) -> torch.Tensor:
            x = self.stem(((luma - _MEAN) / _DEVIATION).contiguous(memory_format=torch.channels_last))
            for block in self.body:
                x = x + block(x)
            return self.head(x)

    return Net()


def weights_hash() -> str:
    """SHA-256 (hex) of the learned weights."""
    return weights.hash_folder(WEIGHTS)


class CursorNet:
    """`pipelines.stages.recogniser.Recogniser`, on one thread. The learned weights are loaded when it is first asked."""

    def __init__(self, net: Any = None) -> None:
        self._given = net

    @functools.cached_property
    def _net(self) -> Any:
        import torch
        from safetensors.torch import load_file

        torch.set_num_threads(1)
        net = self._given
        if net is None:
            net = network()
            net.load_state_dict(load_file(WEIGHTS))
        return net.eval()

    def places(self, luma: np.ndarray, least: float, most: int = 8) -> list[Likely]:
        """See `Recogniser`."""
        import torch
        from torch.nn.functional import max_pool2d

        height, width = luma.shape
        whole = np.pad(luma, ((0, -height % STRIDE), (0, -width % STRIDE)), mode="edge")
        heat, x, y, size = (part[0] for part in self._compute(whole[None]))
        peaks = torch.where(heat == max_pool2d(heat[None], 5, 1, 2)[0], heat, 0.0).flatten()
        best, at = peaks.topk(min(most, peaks.numel()))
        return [Likely(p, *(float(v.flatten()[i]) for v in (x, y, size)))
                for p, i in zip(best.tolist(), at.tolist(), strict=True) if p >= least]  # fmt: skip

    def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
        """See `Recogniser`."""
        left, top = round(x) - _NEAR_PX, round(y) - _NEAR_PX
        parts = [_part(luma, left, top) for luma in lumas]
        found: list[Likely] = []
        for start in range(0, len(parts), _AT_ONCE):
            heat, across, down, size = self._compute(np.stack(parts[start : start + _AT_ONCE]))
            away = (across + left - x).hypot(down + top - y)
            best, at = heat.masked_fill(away > reach, 0.0).flatten(1).max(1)
            columns = (v.flatten(1).gather(1, at[:, None])[:, 0].tolist() for v in (across, down, size))
            found += [Likely(p, a + left, d + top, s) for p, a, d, s in zip(best.tolist(), *columns, strict=True)]
        return found

    def _compute(self, lumas: np.ndarray) -> tuple[Any, Any, Any, Any]:
        """Likelihood, x, y and size of each cell, (n, h/4, w/4) each."""
        import torch

        with torch.inference_mode():
            logit, across, down, size = self._net(torch.from_numpy(lumas)[:, None].float() / 255).unbind(1)
            rows, columns = (STRIDE * torch.arange(n) + STRIDE / 2 for n in logit.shape[1:])
            slope, middle = self._net.calibration
            likely = (slope * (logit.sigmoid() - middle)).sigmoid()
            return likely, columns + STRIDE * across, rows[:, None] + STRIDE * down, UNIT_PX * size.exp()


def _part(luma: np.ndarray, left: int, top: int) -> np.ndarray:
    """A square of the picture, (2 * _NEAR_PX) wide; its edge goes on outside."""
    rows, columns = (np.arange(start, start + 2 * _NEAR_PX).clip(0, edge - 1)
                     for start, edge in zip((top, left), luma.shape, strict=True))  # fmt: skip
    return np.asarray(luma[np.ix_(rows, columns)])
