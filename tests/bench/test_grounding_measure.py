"""One small film, drawn here, through everything that the grounding bench measures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.bench.grounding.baselines import baseline_tallies
from tests.bench.grounding.measure import measure_film
from tests.bench.grounding.summary import BARS, FilmMeasure, merged
from tests.bench.grounding.viewers import TRUTH, folder_of
from tests.lectures.grounding import truth as known
from tests.lectures.grounding.truth import Change, Episode, Rest, Spoken, Truth, Word

SIZE, FPS, SCENE_S = (640, 360), 10, 6


def scene(number: int) -> np.ndarray:
    small = np.random.default_rng(number).integers(30, 160, (60, 80, 3), dtype=np.uint8)  # the rule is blind to soft ones
    return np.array(Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC))


def place(time_s: float) -> tuple[float, float]:
    """Centre of a white disc of 14 px that circles."""
    return 200 + 60 * np.cos(1.5 * time_s), 180 + 60 * np.sin(1.5 * time_s)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import av
    import cv2

    path = tmp_path_factory.mktemp("grounding") / "small.mp4"
    known.pictures_of(path).mkdir()
    for number in range(2):
        Image.fromarray(scene(number)).save(known.pictures_of(path) / f"{number}.png")
    cursor = []
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "superfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(2 * SCENE_S * FPS):
            time_s = i / FPS
            frame, (x, y) = scene(int(time_s // SCENE_S)), place(time_s)
            cv2.circle(frame, (round(16 * x), round(16 * y)), 7 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
            cursor.append((time_s, float(x), float(y), True))
            yuv = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(yuv, format="yuv420p")))
        container.mux(stream.encode(None))
    texts = ("This is an axial slice of the brain.", "Look here at the lateral ventricle, which is dark.")
    spoken = (Spoken(text=texts[0], start_s=1.0, end_s=5.0, kind="medical", scene=0, episode=None),
              Spoken(text=texts[1], start_s=7.0, end_s=11.0, kind="roi", scene=1, episode=0))  # fmt: skip
    words = [Word(text=w, start_s=s.start_s + 0.4 * i, end_s=s.start_s + 0.4 * i + 0.3)
             for s in spoken for i, w in enumerate(s.text.split())]  # fmt: skip
    rests = tuple(Rest(start_s=6.0 * i, end_s=6.0 * i + 6, scene=i, picture=f"{i}.png", ignore=()) for i in range(2))
    known.save(
        Truth(size=SIZE, fps=FPS, duration_s=2.0 * SCENE_S, domain="mri", factors={"cursor": "disc"},
              scenes=((0.0, 6.0, "picture"), (6.0, 12.0, "picture")), builds_s=(), rests=rests, cursor_px=14.0,
              changes=(Change(kind="cut", start_s=6.0, end_s=6.0),), cursor=tuple(cursor), spoken=spoken,
              episodes=(Episode(start_s=7.0, end_s=11.0, box=(130.0, 110.0, 270.0, 250.0), sentence=1),),
              words=tuple(words)),
        path,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def measured(film: Path) -> FilmMeasure:
    return measure_film(film, transcribe=False, baselines=True)


def test_everything_is_measured(measured: FilmMeasure) -> None:
    summary = merged([measured])
    missing = [
        bar.metric for bar in BARS if not bar.metric.startswith(("word.", "trace.false", "align.stray", "image.floor"))
        and summary.value(bar.metric) is None
    ]  # fmt: skip
    assert missing == []
    assert summary.value("image.floor", "codec") is not None
    assert summary.value("scene.f1", "content") is not None
    assert all(summary.value(bar.metric, "published") is not None for bar in BARS if bar.beats and bar.baseline is None
               and not bar.metric.startswith("trace.false"))  # fmt: skip
    assert measured.factors == {"domain": "mri", "height": 360, "fps": 10, "cursor": "disc"}


def test_an_easy_film_scores_high(measured: FilmMeasure) -> None:
    summary = merged([measured])
    assert summary.value("scene.f1") == summary.value("scene.f1", "published") == 1.0
    for method in ("ours", "published"):
        assert summary.value("stable.iou", method) > 0.9  # type: ignore[operator]
        assert summary.value("image.luma", method) < 2.0  # type: ignore[operator]
        assert summary.value("trace.error_p95", method) < 16  # type: ignore[operator] # theirs: anywhere in the disc
    assert summary.value("trace.recall") > 0.8  # type: ignore[operator]
    assert summary.value("image.floor", "codec") < 2.0  # type: ignore[operator]


def test_the_same_again(film: Path, measured: FilmMeasure) -> None:
    again = measure_film(film, transcribe=False, baselines=True)
    assert merged([again]).digest() == merged([measured]).digest()
    kept = film.with_suffix(".baselines.json")
    before = baseline_tallies(film)
    kept.unlink()
    times = ("seconds.",)

    def numbers(tallies: dict[str, list]) -> list:
        return [t for found in tallies.values() for t in found if not t.metric.startswith(times)]

    assert numbers(baseline_tallies(film)) == numbers(before)


def test_recordings_are_measured_only_where_they_are(tmp_path: Path) -> None:
    assert folder_of(tmp_path) is None
    (tmp_path / TRUTH).write_text("{}")
    assert folder_of(tmp_path) == tmp_path
