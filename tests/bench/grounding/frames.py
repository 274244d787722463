"""The films' frames for the published rules and the codec's floor: the frames that ours gets, by the same decoder."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipelines import media


def pictures(path: Path) -> Iterator[media.DecodedPicture]:
    """Every frame in presentation order, upright, on the video's clock; one decoding thread."""
    from actors.decoder_child import _pictures

    with media.open_media(str(path)) as container:
        yield from _pictures(container)


def decode_seconds(path: Path) -> float:
    """Wall-clock seconds of decoding every frame and looking at none."""
    started = time.perf_counter()
    for _ in pictures(path):
        pass
    return time.perf_counter() - started


def sampled_luma(path: Path, *, fps: float, width: int) -> list[tuple[float, np.ndarray]]:
    """Frames at most `fps` a second: time_s and luma (h, w) uint8, at most `width` wide."""
    samples: list[tuple[float, np.ndarray]] = []
    next_s = -np.inf
    for picture in pictures(path):
        if picture.time_s >= next_s - 0.005:
            next_s = max(next_s + 1 / fps, picture.time_s + 0.5 / fps)  # on a grid, but never two at once after a gap
            # a copy: the reduced luma of a small film is a view of the decoder's own buffer
            samples.append((picture.time_s, picture.luma(width).copy()))
    return samples


def stacks(
    path: Path, spans: Sequence[tuple[float, float]], limit: int
) -> Iterator[tuple[int, list[tuple[float, np.ndarray]]]]:
    """For each span of time its index and up to `limit` of its frames at full size, evenly spread: (time_s, RGB).

    One decode; spans may overlap; what a span does not need any more is given back at once.
    """
    wanted = [list(np.linspace(start, end, limit + 2)[1:-1]) for start, end in spans]
    taken: list[list[tuple[float, np.ndarray]]] = [[] for _ in spans]
    done = [False] * len(spans)
    for picture in pictures(path):
        rgb = None
        for i, (_, end_s) in enumerate(spans):
            due = 0
            while wanted[i] and wanted[i][0] <= picture.time_s < end_s:
                wanted[i].pop(0)
                due += 1
            if due:
                rgb = picture.rgb() if rgb is None else rgb
                taken[i].append((picture.time_s, rgb))
        for i, (_, end_s) in enumerate(spans):
            if not done[i] and picture.time_s >= end_s:
                done[i] = True
                if taken[i]:
                    yield i, taken[i]
                taken[i] = []
    for i, frames in enumerate(taken):
        if frames:
            yield i, frames
