import dataclasses

import numpy as np
import pytest

from pipelines.config import ClassifierSettings, NarrativeSettings
from pipelines.errors import RowError
from pipelines.schema import Domain, FrameClass, Reason, Span
from pipelines.stages.narrative import check_narrative, choose_domain, rests_s, spoken_share, streak_share, thumbnail

CLASSES = ClassifierSettings()
SETTINGS = NarrativeSettings()


def seen(domains: list[Domain], probability: float = 0.9) -> list[FrameClass]:
    return [
        FrameClass(time_s=i, until_s=i + 1, domain=d, probability=probability, medical_probability=probability)
        for i, d in enumerate(domains)
    ]


def test_the_published_share_decides() -> None:
    frames = seen([Domain.MRI] + [Domain.NONMEDICAL] * 19)
    assert choose_domain(frames, CLASSES) == (Domain.MRI, 0.05)
    with pytest.raises(RowError) as error:
        choose_domain(seen([Domain.MRI] + [Domain.NONMEDICAL] * 20), CLASSES)
    assert error.value.reason is Reason.NOT_MEDICAL
    assert "mri" in error.value.detail


def test_surgery_needs_more_frames_than_ct() -> None:
    with pytest.raises(RowError):
        choose_domain(seen([Domain.SURGERY] * 4 + [Domain.NONMEDICAL] * 6), CLASSES)
    assert choose_domain(seen([Domain.CT] * 4 + [Domain.NONMEDICAL] * 6), CLASSES) == (Domain.CT, 0.4)


def test_unsure_frames_do_not_count() -> None:
    with pytest.raises(RowError):
        choose_domain(seen([Domain.CT] * 10, probability=0.64), CLASSES)
    torn = [dataclasses.replace(f, probability=0.5, medical_probability=0.99) for f in seen([Domain.CT] * 10)]
    with pytest.raises(RowError):
        choose_domain(torn, CLASSES)


def pictures(kinds: list[int]) -> list[np.ndarray]:
    made = {k: np.random.default_rng(k).integers(0, 255, (90, 160, 3), np.uint8) for k in set(kinds)}
    return [thumbnail(made[k]) for k in kinds]


def test_a_resting_picture_is_a_streak_and_a_fly_through_is_none() -> None:
    times = [0.0, 5.0, 10.0, 15.0]
    assert rests_s(times, pictures([1, 1, 1, 1]), SETTINGS) == [10.0, 10.0, 5.0, 0.0]
    assert rests_s(times, pictures([1, 2, 3, 4]), SETTINGS) == [0.0] * 4


def test_of_medical_frames_counts_the_share_that_starts_a_streak() -> None:
    assert streak_share([10.0, 7.5, 5.0, 0.0], [True] * 4, SETTINGS) == 0.5
    assert streak_share([10.0, 7.5, 5.0, 0.0], [False, True, True, True], SETTINGS) == pytest.approx(1 / 3)
    assert streak_share([10.0], [False], SETTINGS) == 0.0


def test_sparse_key_frames_prove_no_rest() -> None:
    assert rests_s([0.0, 60.0], pictures([1, 2]), SETTINGS) == [0.0, 0.0]


def test_brightness_alone_is_no_likeness() -> None:
    flat = thumbnail(np.full((90, 160, 3), 200, np.uint8))
    assert float(flat @ flat) == 0.0


def test_speech_must_lie_around_the_medical_frames() -> None:
    times = [0.0, 5.0, 10.0, 15.0]
    medical = [True, True, False, False]
    assert spoken_share(times, medical, 20.0, (Span(start_s=2, end_s=8),), SETTINGS) == 1.0
    assert spoken_share(times, medical, 20.0, (Span(start_s=11, end_s=20),), SETTINGS) == 0.0
    assert spoken_share(times, [True] * 4, 20.0, (Span(start_s=11, end_s=20),), SETTINGS) == 1.0


def test_more_than_half_as_published() -> None:
    with pytest.raises(RowError, match="not_narrative"):
        check_narrative(Domain.ULTRASOUND, 0.5, SETTINGS)
    check_narrative(Domain.ULTRASOUND, 0.51, SETTINGS)
    check_narrative(Domain.CT, SETTINGS.min_streak_share, SETTINGS)
