from collections.abc import Sequence

import numpy as np
import pytest

from actors import frame_stages
from actors.frame_stages import ScreenClassifier, classified
from pipelines import recipes
from pipelines.errors import RowError
from pipelines.job import Job, Sample
from pipelines.media import to_jpeg
from pipelines.schema import Domain, Reason, Video


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


@pytest.mark.parametrize("rested_s", [0.0, 60.0])
def test_a_row_says_what_it_was_judged_by_rejected_or_not(monkeypatch: pytest.MonkeyPatch, rested_s: float) -> None:
    class Model(ByBrightness):
        name = "by brightness"

    monkeypatch.setattr(frame_stages, "FrameClassifier", lambda *_, **__: Model())
    bright = to_jpeg(np.full((8, 8, 3), 200, np.uint8))
    samples = tuple(Sample(time_s=i, until_s=i + 1, jpeg=bright, rested_s=rested_s) for i in range(4))
    work, job = ScreenClassifier(recipes.starter(), threads=1), Job(video=Video(video_id="v", uri="v"), samples=samples)
    if rested_s:
        video = work(job).video
    else:
        with pytest.raises(RowError) as rejected:
            work(job)
        assert rejected.value.reason is Reason.NOT_NARRATIVE
        video = job.ended("classify", rejected.value).video
    assert (video.domain, video.domain_share, video.narrative_share) == (Domain.CT, 1.0, 1.0 if rested_s else 0.0)
    assert (len(video.screen_frames), video.classifier) == (4, "by brightness")
