"""How the cursor net is learned: targets, losses, likelihoods."""

import numpy as np
import pytest
import torch

from actors.cursor_net import STRIDE, UNIT_PX, CursorNet, network
from train.cursor_backgrounds import SIDE_PX
from train.cursor_lesson import Drawn, calibration, learn, losses, shard, targets
from train.cursor_pictures import Shown

CURSOR = Shown(41.0, 86.5, 24.0)


def test_targets_say_where_and_how_large() -> None:
    heat, sought, counts = targets([[CURSOR], []])
    down, across = np.unravel_index(heat[0].argmax(), heat[0].shape)
    assert (across, down) == (41 // STRIDE, 86 // STRIDE)
    assert across * STRIDE + STRIDE / 2 + STRIDE * sought[0, 0, down, across] == pytest.approx(41.0)
    assert down * STRIDE + STRIDE / 2 + STRIDE * sought[0, 1, down, across] == pytest.approx(86.5)
    assert UNIT_PX * np.exp(sought[0, 2, down, across]) == pytest.approx(24.0)
    assert counts[0].sum() > 4
    assert not heat[1].any()
    assert not counts[1].any()


def test_the_loss_is_least_where_all_is_right() -> None:
    heat, sought, counts = map(torch.from_numpy, targets([[CURSOR]]))
    right = torch.cat([torch.where(heat > 0.64, 12.0, -12.0)[:, None], sought], dim=1)
    focal, apart = losses(right, heat, sought, counts)
    assert float(focal) < 1e-3
    assert float(apart) == 0
    nowhere = torch.cat([torch.full_like(heat, -12.0)[:, None], sought + 1], dim=1)
    focal, apart = losses(nowhere, heat, sought, counts)
    assert float(focal) > 10
    assert float(apart) > 1
    everywhere = torch.cat([torch.full_like(heat, 12.0)[:, None], sought], dim=1)
    assert float(losses(everywhere, heat, sought, counts)[0]) > 1000


@pytest.mark.parametrize(("dx", "dy"), [(dx, dy) for dx in range(STRIDE) for dy in range(STRIDE)])
def test_it_is_to_be_seen_wherever_it_stands_between_the_cells(dx: int, dy: int) -> None:
    heat, sought, counts = map(torch.from_numpy, targets([[Shown(40.0 + dx, 84.0 + dy, 24.0)]]))
    nowhere = torch.cat([torch.full_like(heat, -12.0)[:, None], sought], dim=1)
    assert float(losses(nowhere, heat, sought, counts)[0]) > 10


@pytest.mark.long
def test_it_learns() -> None:
    said: list[str] = []
    net = learn([shard(1, 0, 64)], epochs=50, seed=0, say=said.append)
    assert [line.split(":")[0] for line in said] == ["step 100 of 100"]
    seen = torch.from_numpy(shard(1, 0, 64).lumas)[:, None].float() / 255
    heat, sought, counts = map(torch.from_numpy, targets(shard(1, 0, 64).shown))
    with torch.inference_mode():
        after = losses(net(seen), heat, sought, counts)
        before = losses(network().eval()(seen), heat, sought, counts)
    assert float(after[0]) < 0.1 * float(before[0])
    assert float(after[1]) < 0.7 * float(before[1])


def test_a_likelihood_is_the_share_that_is_right() -> None:
    class Half(torch.nn.Module):
        """Of two places that it is sure of, one is right."""

        def __init__(self) -> None:
            super().__init__()
            self.calibration = torch.tensor([1.0, 0.5])

        def forward(self, luma: torch.Tensor) -> torch.Tensor:
            made = torch.full((len(luma), 4, SIDE_PX // STRIDE, SIDE_PX // STRIDE), -8.0)
            made[:, 1:] = 0
            made[:, 0, 10, 10] = made[:, 0, 30, 30] = 2.0
            return made

    there = (Shown(10 * STRIDE + 2.0, 10 * STRIDE + 2.0, 16.0),)
    unseen = Drawn(np.zeros((20, SIDE_PX, SIDE_PX), np.uint8), (there,) * 20)
    net = Half()
    net.calibration = torch.tensor(calibration(net, unseen))
    found = CursorNet(net).places(unseen.lumas[0], 0.1)
    assert [p.likelihood for p in found] == pytest.approx([0.5, 0.5], abs=0.05)
