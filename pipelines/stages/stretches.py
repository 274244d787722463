"""The stretch of video that is being looked at: a rest whose samples come in, or a movement and its sharpest frame."""

from dataclasses import dataclass

import numpy as np

from pipelines.config import LookSettings
from pipelines.stages.pointer import Pointer
from pipelines.stages.stable import FrameStack
from pipelines.stages.trace import CursorTracer


@dataclass(slots=True)
class Sample:
    """One sampled frame: reduced and finer luma, its full size where that is needed, and how sharp it is."""

    time_s: float
    luma: np.ndarray
    fine: np.ndarray
    rgb: np.ndarray | None
    sharpness: float


class OpenRest:
    """The rest whose samples are coming in."""

    def __init__(self, start_s: float, pointer: Pointer, settings: LookSettings) -> None:
        self.start_s = start_s
        self.frames = FrameStack()
        self.tracer = CursorTracer(pointer, window_s=settings.window_s)
        self.best: Sample | None = None
        self.fine_shape = (1, 1)

    @property
    def scale(self) -> tuple[float, float]:
        """How many pixels of the latest full picture a pixel of the finer luma is, across and down."""
        height, width = self.frames.frames[-1][1].shape[:2]
        return width / self.fine_shape[1], height / self.fine_shape[0]

    def add(self, sample: Sample) -> None:
        """Takes the next sample of the rest."""
        self.fine_shape = sample.fine.shape
        self.tracer.add(sample.time_s, sample.luma, sample.fine)
        self.best = sharper(self.best, sample)
        if sample.rgb is not None:
            self.frames.add(sample.time_s, sample.rgb)


class Moving:
    """A stretch without rest, and its sharpest frame so far."""

    def __init__(self, start_s: float) -> None:
        self.start_s = start_s
        self.best: Sample | None = None

    def add(self, sample: Sample) -> None:
        """Takes the next sample of the movement."""
        self.best = sharper(self.best, sample)

    def join(self, best: Sample | None) -> None:
        """Takes the best sample of a rest that was too short to be one."""
        if best:
            self.add(best)


def reduced(luma: np.ndarray, width: int) -> np.ndarray:
    """`luma` (h, w) at that width, averaged over areas; never enlarged."""
    import cv2

    if luma.shape[1] <= width:
        return luma
    height = max(1, round(width * luma.shape[0] / luma.shape[1]))
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA))


def sharper(best: Sample | None, sample: Sample) -> Sample | None:
    """The sharper of two; one without its full size is none."""
    if sample.rgb is None or (best and best.sharpness >= sample.sharpness):
        return best
    return sample


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian, the usual measure of focus (Pech-Pacheco et al., 2000)."""
    import cv2

    return float(cv2.Laplacian(luma, cv2.CV_16S).var())
