from collections.abc import Sequence

import numpy as np
import pytest

from actors import frame_stages
from actors.frame_stages import classified
from pipelines.job import Sample
from pipelines.media import to_jpeg
from pipelines.schema import Domain


class ByBrightness:
    """CT for bright frames, MRI for dark ones; remembers how many it was given at once."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        self.batches.append(len(frames))
        probabilities = np.zeros((len(frames), len(Domain)), np.float32)
        for row, frame in zip(probabilities, frames, strict=True):
            row[list(Domain).index(Domain.CT if frame.mean() > 100 else Domain.MRI)] = 1.0
        return probabilities


@pytest.mark.parametrize("count", [0, 1, 6, 7, 13])
def test_every_frame_is_classified_once_in_its_order(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(frame_stages, "_BATCH", 6)
    levels = [200 if i % 3 else 20 for i in range(count)]
    samples = [
        Sample(time_s=i, until_s=i + 1, jpeg=to_jpeg(np.full((8, 8, 3), level, np.uint8))) for i, level in enumerate(levels)
    ]
    model = ByBrightness()
    found = list(classified(model, samples))  # type: ignore[arg-type]
    classes = [c for batch in found for c in batch]
    assert [c.time_s for c in classes] == list(range(count))
    assert [c.domain for c in classes] == [Domain.CT if level == 200 else Domain.MRI for level in levels]
    assert all(size <= 6 for size in model.batches)
