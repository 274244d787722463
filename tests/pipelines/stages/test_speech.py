"""Sound on the video's clock, and the share of it that is speech."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines.config import SpeechSettings
from pipelines.errors import RowError
from pipelines.schema import Reason, Span
from pipelines.stages.speech import SAMPLE_RATE, AudioClock, check_speech


def frame(
    start_s: float, seconds: float, *, rate: int = SAMPLE_RATE, fmt: str = "s16", layout: str = "mono"
) -> av.AudioFrame:
    """Each sample is its time in centiseconds; planar formats hold it as a share of full scale."""
    values = ((start_s + np.arange(round(seconds * rate)) / rate) * 100).astype(np.int16)
    channels = np.tile(values, (1 if layout == "mono" else 2, 1))
    data = channels if fmt == "s16" else (channels / 32768).astype(np.float32)
    made = av.AudioFrame.from_ndarray(data, format=fmt, layout=layout)
    made.sample_rate, made.time_base, made.pts = rate, Fraction(1, rate), round(start_s * rate)
    return made


def heard(*stretches: tuple[float, float], origin_s: float = 0.0, **kind: object) -> np.ndarray:
    """What the clock makes of these stretches, a tenth of a second at a time."""
    clock = AudioClock(origin_s)
    starts = [start_s + i / 10 for start_s, end_s in stretches for i in range(round((end_s - start_s) * 10))]
    frames = [frame(start_s, 0.1, **kind) for start_s in starts]
    return np.concatenate([samples for f in [*frames, None] for samples in clock.pcm(f)])


def times(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE * 100


def test_what_is_missing_is_silent() -> None:
    found = heard((2.0, 3.0), (5.0, 6.0), origin_s=1.0)
    assert np.abs(found[SAMPLE_RATE : 2 * SAMPLE_RATE] - 100 - times(2)[SAMPLE_RATE:]).max() <= 1
    assert not found[:SAMPLE_RATE].any()
    assert not found[2 * SAMPLE_RATE : 4 * SAMPLE_RATE].any()
    assert len(found) == 5 * SAMPLE_RATE


@pytest.mark.parametrize(
    "stretches",
    [
        ((0.0, 5.0), (3.0, 8.0)),
        ((0.0, 5.0), (3.0, 3.5), (5.0, 8.0)),  # what was still to be dropped when the next one begins where it should
        ((0.0, 5.0), (4.9, 8.0)),  # less than is told from rounding: once, and not with every frame
    ],
)
@pytest.mark.parametrize(("rate", "fmt", "layout"), [(16000, "s16", "mono"), (48000, "fltp", "stereo")])
def test_what_comes_twice_makes_nothing_late(
    stretches: tuple[tuple[float, float], ...], rate: int, fmt: str, layout: str
) -> None:
    found = heard(*stretches, rate=rate, fmt=fmt, layout=layout)
    assert len(found) == pytest.approx(8 * SAMPLE_RATE, abs=SAMPLE_RATE // 10 + 100)
    late_s = np.abs(found[-SAMPLE_RATE:] - times(len(found) / SAMPLE_RATE)[-SAMPLE_RATE:]) / 100
    assert late_s.max() < 0.12


def test_sound_that_changes_its_format_goes_on() -> None:
    clock = AudioClock(0.0)
    kinds = [(16000, "s16", "mono"), (48000, "fltp", "stereo"), (44100, "fltp", "mono"), (16000, "s16", "mono")]
    frames = [frame(i, 1.0, rate=rate, fmt=fmt, layout=layout) for i, (rate, fmt, layout) in enumerate(kinds)]
    found = np.concatenate([samples for f in [*frames, None] for samples in clock.pcm(f)])
    assert len(found) == pytest.approx(4 * SAMPLE_RATE, abs=100)
    assert np.abs(found - times(len(found) / SAMPLE_RATE))[500:-500].max() < 12


def test_sound_that_never_comes_ends_at_once() -> None:
    assert list(AudioClock(0.0).pcm(None)) == []


def test_sound_that_could_not_be_decoded_is_no_film_without_speech() -> None:
    settings = SpeechSettings()
    assert check_speech((Span(start_s=0.0, end_s=6.0),), 10.0, settings) == pytest.approx(0.6)
    for audio_s, reason in ((10.0, Reason.NO_SPEECH), (0.0, Reason.UNREADABLE)):
        with pytest.raises(RowError) as ended:
            check_speech((), audio_s, settings)
        assert ended.value.reason is reason
