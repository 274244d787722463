"""What is asked of something that knows cursors by their looks alone (`actors.cursor_net`)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Likely:
    """A place where a cursor may be: how likely (such a share of these places is right), its hot spot and its longer edge in
    pixels."""

    likelihood: float
    x: float
    y: float
    size: float


class Recogniser(Protocol):
    """Knows cursors by their looks alone, in luma (h, w) uint8; places in pixels from its upper left corner."""

    def places(self, luma: np.ndarray, least: float) -> list[Likely]:
        """Where a cursor may be in a whole picture, if it is so likely; likeliest first."""

    def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
        """The likeliest place within `reach` of (x, y) in each of several pictures of one size, however unlikely."""
