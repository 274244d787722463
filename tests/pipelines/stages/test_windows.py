"""Windows kept small: what differs from the background comes back exactly, the rest as the background."""

import numpy as np

from pipelines.stages.candidates import candidates
from pipelines.stages.windows import Window

SHAPE = (100, 150)  # no multiple of the tiles
BACKGROUND = np.random.default_rng(0).integers(60, 90, SHAPE, dtype=np.uint8)
LIMIT, QUIET = np.full(SHAPE, 10, np.uint8), np.full(SHAPE, 255, np.uint8)


def window(lumas: list[np.ndarray], quiet: np.ndarray = QUIET) -> Window:
    times = [i / 10 for i in range(len(lumas))]
    found = [candidates(luma, BACKGROUND, LIMIT, quiet) for luma in lumas]
    return Window.of(times, 1, lumas, BACKGROUND, LIMIT, quiet, found)


def test_what_differs_comes_back() -> None:
    one, two = BACKGROUND.copy(), BACKGROUND.copy()
    one[20:30, 40:48] = 250
    two[95:100, 145:150] = 10
    kept = window([one, two, BACKGROUND])
    assert all((a == b).all() for a, b in zip(kept.lumas(), (one, two, BACKGROUND), strict=True))
    assert [len(pixels) for _, pixels in kept.tiles][2] == 0
    assert len(kept.tiles[0][1]) < 20


def test_what_hardly_differs_is_the_background() -> None:
    (luma,) = window([BACKGROUND + 5]).lumas()
    assert (luma == BACKGROUND).all()


def test_of_a_large_inset_nothing_is_kept() -> None:
    quiet = QUIET.copy()
    quiet[:, :100] = 0
    shown = BACKGROUND.copy()
    shown[:, :90] += 60
    shown[40:46, 120:128] = 250
    (luma,) = window([shown], quiet).lumas()
    assert (luma[40:46, 120:128] == 250).all()
    assert (luma[:, :60] == BACKGROUND[:, :60]).all()
