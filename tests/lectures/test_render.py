"""The renderer keeps its word: what the truth says is what the file shows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.schema import Reason
from tests.lectures import demo
from tests.lectures.demo import EXPECTED, FILMS, cut_off, load_truth, render_demo
from tests.lectures.pictures import Screen, names, picture
from tests.lectures.render import SAMPLE_RATE, plan, render, sound, unroll, voice, word_times
from tests.lectures.script import LECTURES, MRI, silenced

SMALL: dict[str, Any] = {"size": (320, 180), "fps": 10, "preset": "ultrafast"}
LENGTH_S = 25.0


def decode(path: Path) -> tuple[list[float], list[np.ndarray], int]:
    """Times, pictures as stored, and the display matrix' rotation."""
    import av

    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [f.time for f in frames], [f.to_ndarray(format="rgb24") for f in frames], frames[0].rotation


def heard(path: Path) -> np.ndarray:
    import av

    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(MRI, tmp_path_factory.mktemp("film") / "film.mp4", duration_s=LENGTH_S, **SMALL)


@pytest.mark.parametrize("name", LECTURES)
def test_every_region_that_is_spoken_of_lies_in_its_picture(name: str) -> None:
    for scene in LECTURES[name].scenes:
        for region in (s.region for s in scene.sentences if s.region):
            assert scene.picture is not None
            shown = picture(scene.picture)
            x0, y0, x1, y1 = shown.regions[region]
            assert 0 <= x0 < x1 <= shown.pixels.shape[1]
            assert 0 <= y0 < y1 <= shown.pixels.shape[0]


def test_every_picture_is_shown_by_a_lecture() -> None:
    assert {s.picture for lecture in LECTURES.values() for s in lecture.scenes if s.picture} == set(names())


def test_brain_regions_lie_where_the_volume_has_them() -> None:
    def mean(name: str, region: str) -> float:
        shown = picture(name)
        x0, y0, x1, y1 = (round(v) for v in shown.regions[region])
        return float(shown.pixels[y0:y1, x0:x1].mean())

    # Fluid is dark and white matter bright in T1: mirrored or shifted regions would not show it.
    assert mean("brain_base", "fourth ventricle") < 0.75 * mean("brain_base", "pons")
    assert mean("brain_axial", "lateral ventricle") < 0.85 * mean("brain_axial", "white matter")


def test_scenes_follow_each_other_on_the_frame_grid_and_hold_their_sentences() -> None:
    placed = plan(MRI, 15)
    assert 75 <= placed[-1].end_s <= 100
    assert [p.end_s for p in placed[:-1]] == [p.start_s for p in placed[1:]]
    for p in placed:
        assert p.end_s * 15 == pytest.approx(round(p.end_s * 15))
        assert all(p.start_s < s.start_s < s.end_s < p.end_s for s in p.spoken)


def test_a_longer_film_repeats_the_lecture() -> None:
    placed = plan(MRI, 15)
    period_s = placed[-1].end_s
    long = list(unroll(placed, 2.5 * period_s))
    again = long[len(placed)]
    assert again.scene is placed[0].scene
    assert again.start_s == pytest.approx(period_s)
    assert again.spoken[0].start_s == pytest.approx(period_s + placed[0].spoken[0].start_s)
    assert long[-1].end_s == pytest.approx(2.5 * period_s)
    assert all(s.end_s <= p.end_s for p in long for s in p.spoken)


def test_word_times_fill_the_sentence() -> None:
    spoken = plan(MRI, 15)[1].spoken[0]
    words = word_times(spoken)
    assert " ".join(w["text"] for w in words) == spoken.sentence.text
    assert (words[0]["start_s"], words[-1]["end_s"]) == pytest.approx((spoken.start_s, spoken.end_s))
    assert all(a["end_s"] == b["start_s"] and a["start_s"] < a["end_s"] for a, b in zip(words, words[1:], strict=False))


def test_frames_stand_at_the_times_of_the_truth(film: Path) -> None:
    truth = load_truth(film)
    times, frames, rotation = decode(film)
    assert times == pytest.approx([c["time_s"] for c in truth["cursor"]])
    assert len(frames) == LENGTH_S * 10
    assert frames[0].shape == (180, 320, 3)
    assert rotation == 0
    assert truth["duration_s"] == LENGTH_S


def test_the_picture_changes_at_the_cuts_and_nowhere_else(film: Path) -> None:
    times, frames, _ = decode(film)
    luma = [f[:, :250].mean(axis=2) for f in frames]  # without the inset
    change = np.array([np.abs(b - a).mean() for a, b in zip(luma, luma[1:], strict=False)])
    cuts = [times[i + 1] for i in np.flatnonzero(change > 10)]
    assert cuts == pytest.approx([s["start_s"] for s in load_truth(film)["scenes"][1:]])


def test_the_cursor_is_drawn_where_the_truth_says(film: Path) -> None:
    truth = load_truth(film)
    times, frames, _ = decode(film)
    seen = [(c, f) for c, f in zip(truth["cursor"], frames, strict=True) if c["visible"]]
    assert len(seen) == sum(f_time >= truth["scenes"][1]["start_s"] for f_time in times)
    empty = Screen.of(MRI.scenes[1], (320, 180)).background.astype(int)
    for c, f in seen[::5]:
        difference = np.abs(f - empty).sum(axis=2)[:, :250]  # without the inset
        rows, columns = np.nonzero(difference > 100)
        assert abs(rows.min() - c["y"]) <= 2
        assert abs(columns.min() - c["x"]) <= 2


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_the_cursor_is_in_the_region_while_it_is_spoken_of(film: Path, at: float) -> None:
    truth = load_truth(film)
    assert [r["name"] for r in truth["regions"]][:2] == ["lateral ventricle", "thalamus"]
    for region in truth["regions"]:
        time_s = region["start_s"] + at * (region["end_s"] - region["start_s"])
        point = min(truth["cursor"], key=lambda c: abs(c["time_s"] - time_s))
        x0, y0, x1, y1 = region["box"]
        assert x0 <= point["x"] <= x1
        assert y0 <= point["y"] <= y1


def test_sentences_are_heard_at_their_times_and_silence_between(film: Path) -> None:
    samples, truth = heard(film), load_truth(film)

    def loudness(start_s: float, end_s: float) -> float:
        return float(np.sqrt(np.mean(samples[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)] ** 2)))

    assert len(truth["sentences"]) >= 4
    for sentence, following in zip(truth["sentences"], truth["sentences"][1:], strict=False):
        assert loudness(sentence["start_s"], sentence["start_s"] + 0.4) > 0.02
        assert loudness(sentence["end_s"] + 0.15, following["start_s"] - 0.15) < 0.002


def test_a_varying_frame_rate_keeps_cuts_and_truth(film: Path, tmp_path: Path) -> None:
    path = render(MRI, tmp_path / "vfr.mp4", duration_s=LENGTH_S, vfr=True, **SMALL)
    truth = load_truth(path)
    times, frames, _ = decode(path)
    assert times == pytest.approx([c["time_s"] for c in truth["cursor"]], abs=1e-3)
    assert len(set(np.round(np.diff(times), 2))) >= 4
    assert truth["scenes"] == load_truth(film)["scenes"]
    cut_s = truth["scenes"][1]["start_s"]
    first = next(i for i, t in enumerate(times) if t >= cut_s - 1e-3)
    assert times[first] == pytest.approx(cut_s, abs=1e-3)
    assert np.abs(frames[first].astype(float) - frames[first - 1]).mean() > 10


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_film_is_upright_when_turned_back(film: Path, tmp_path: Path, rotation: int) -> None:
    path = render(MRI, tmp_path / "turned.mp4", duration_s=12.0, rotation=rotation, **SMALL)
    _, stored, told = decode(path)
    _, upright, _ = decode(film)
    assert told % 360 == rotation
    assert [p.name for p in tmp_path.glob("*.mp4")] == ["turned.mp4"]
    turned_back = np.rot90(stored[100], rotation // 90).astype(float)
    assert np.abs(turned_back - upright[100]).mean() < 3
    assert load_truth(path)["size"] == [320, 180]


def test_streams_can_be_left_out(tmp_path: Path) -> None:
    import av

    for name, kind in (("a.mp4", "video"), ("v.mp4", "audio")):
        path = render(MRI, tmp_path / name, duration_s=3.0, audio=kind == "audio", video=kind == "video", **SMALL)
        with av.open(str(path)) as container:
            assert [s.type for s in container.streams] == [kind]
    assert load_truth(tmp_path / "a.mp4")["words"] == []


def test_odd_sizes_and_other_containers(tmp_path: Path) -> None:
    path = render(MRI, tmp_path / "odd.mkv", size=(321, 181), fps=10, duration_s=2.0, pixel_format="yuv444p")
    _, frames, _ = decode(path)
    assert (len(frames), frames[0].shape) == (20, (181, 321, 3))


def test_a_silenced_lecture_has_sound_but_no_words(film: Path, tmp_path: Path) -> None:
    placed = plan(MRI, 15)[1]
    tones = sound(silenced(MRI), placed)
    assert np.sqrt(np.mean(tones**2)) > 0.01
    assert not np.array_equal(tones, sound(MRI, placed))
    path = render(silenced(MRI), tmp_path / "tones.mp4", duration_s=9.0, **SMALL)
    assert load_truth(path)["words"] == load_truth(path)["sentences"] == []
    assert load_truth(film)["words"] != []


def test_the_same_lecture_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (render(MRI, tmp_path / f"{i}.mp4", duration_s=6.0, **SMALL) for i in range(2))
    assert first.read_bytes() == second.read_bytes()
    text = MRI.scenes[0].sentences[0].text
    assert np.array_equal(voice.__wrapped__(text), voice(text))


def test_a_cut_off_file_decodes_to_the_cut_and_announces_more(tmp_path: Path) -> None:
    import av

    path = render(MRI, tmp_path / "cut.mp4", duration_s=LENGTH_S, **SMALL)
    cut_off(path, 14.0)
    with av.open(str(path)) as container:
        assert container.duration / av.time_base == pytest.approx(LENGTH_S, abs=0.1)
        last = max(float(p.pts * p.time_base) for p in container.demux(video=0) if p.pts is not None)
    assert 13.0 < last < 14.5


def test_the_demo_set_names_known_reasons_and_has_a_film_for_each() -> None:
    for name, (status, reason) in EXPECTED.items():
        assert status == ("ok" if reason is None else Reason(reason).status)
        assert (name in FILMS) == (name not in ("empty.mp4", "text.mp4"))
    assert set(FILMS) <= set(EXPECTED)


def test_a_demo_file_is_kept_until_its_recipe_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = render_demo(tmp_path, only=["text.mp4"])
    path.write_text("kept", encoding="utf-8")
    assert render_demo(tmp_path, only=["text.mp4"]) == [path]
    assert path.read_text(encoding="utf-8") == "kept"
    monkeypatch.setitem(demo.FILMS, "text.mp4", demo.Film(MRI, {"fps": 5}))
    render_demo(tmp_path, only=["text.mp4"])
    assert path.read_text(encoding="utf-8") != "kept"
    with pytest.raises(KeyError, match=r"other\.mp4"):
        render_demo(tmp_path, only=["other.mp4"])
