"""Renders a lecture to a video file whose truth is known: every word, cut, region and cursor position.

A longer film repeats the lecture; frames, sound and cursor samples are made as they are written, so that memory does not
grow with the length (but for the words' list). The narration is the `heart` voice of hibari-tts.
"""

import functools
import json
import math
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.schema import Domain
from tests.lectures.pictures import Screen, paste
from tests.lectures.script import Lecture, Scene, Sentence

SAMPLE_RATE = 24_000
LEAD_S, GAP_S, TAIL_S = 1.0, 0.85, 1.0  # silence before a scene's first sentence, between sentences, before the cut
TRAVEL_S, DWELL_S = 0.7, 1.1  # the cursor's time to a region, and its rest between two gestures within it
VFR_STEPS = (2, 2, 4, 1, 3, 6)  # half frame periods between frames of a varying rate: two thirds of the nominal one


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence in its place. Times are seconds from the lecture's beginning."""

    sentence: Sentence
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A scene in its place; `start_s` and `end_s` lie on the frame grid."""

    scene: Scene
    start_s: float
    end_s: float
    spoken: tuple[Spoken, ...]

    def later(self, by_s: float, end_s: float) -> "Placed":
        """The same scene `by_s` later, cut at `end_s`; a sentence that does not fit whole is left out."""
        moved = (Spoken(s.sentence, s.start_s + by_s, s.end_s + by_s) for s in self.spoken)
        end = min(self.end_s + by_s, end_s)
        return Placed(self.scene, self.start_s + by_s, end, tuple(s for s in moved if s.end_s <= end))


@functools.cache
def _voice() -> Any:
    from hibari import Hibari

    return Hibari(threads=1)


@functools.lru_cache(maxsize=64)
def voice(text: str) -> np.ndarray:
    """The sentence spoken, float32 at 24 kHz, the same samples every time, without the silence around it."""
    samples: np.ndarray = _voice()(text, seed=0)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]


def plan(lecture: Lecture, fps: int) -> tuple[Placed, ...]:
    """The lecture's scenes in time, one after another."""
    placed: list[Placed] = []
    start_s = 0.0
    for scene in lecture.scenes:
        at_s, spoken = start_s + LEAD_S, []
        for sentence in scene.sentences:
            end_s = at_s + len(voice(sentence.text)) / SAMPLE_RATE
            spoken.append(Spoken(sentence, at_s, end_s))
            at_s = end_s + GAP_S
        length_s = max(at_s - GAP_S + TAIL_S - start_s, scene.min_s)
        end = (round(start_s * fps) + math.ceil(length_s * fps)) / fps
        placed.append(Placed(scene, start_s, end, tuple(spoken)))
        start_s = end
    return tuple(placed)


def unroll(scenes: tuple[Placed, ...], duration_s: float | None) -> Iterator[Placed]:
    """The scenes over and over until `duration_s`, where the last is cut; once where that is None."""
    period_s = scenes[-1].end_s
    end_s = period_s if duration_s is None else duration_s
    for turn in range(math.ceil(end_s / period_s)):
        for placed in scenes:
            if placed.start_s + turn * period_s < end_s:
                yield placed.later(turn * period_s, end_s)


@dataclass(frozen=True, slots=True)
class Move:
    """The cursor goes from where it is to (x, y), pixels, leaving at `leave_s` and arriving at `arrive_s`."""

    leave_s: float
    arrive_s: float
    x: float
    y: float


def moves(placed: Placed, screen: Screen) -> tuple[Move, ...]:
    """The cursor's way through one scene: to each region just before its sentence, then small gestures within it."""
    x, y = screen.home
    path = [Move(placed.start_s, placed.start_s, x, y)]
    for spoken in placed.spoken:
        if spoken.sentence.region is None:
            continue
        x0, y0, x1, y1 = screen.regions[spoken.sentence.region]
        centre, radius = ((x0 + x1) / 2, (y0 + y1) / 2), (0.3 * (x1 - x0), 0.3 * (y1 - y0))
        leave_s = spoken.start_s - 0.45
        path.append(Move(leave_s, leave_s + TRAVEL_S, *centre))
        angle = 0.6
        while path[-1].arrive_s + DWELL_S + 0.4 < spoken.end_s:
            leave_s = path[-1].arrive_s + DWELL_S
            spot = (centre[0] + radius[0] * math.cos(angle), centre[1] + radius[1] * math.sin(angle))
            path.append(Move(leave_s, leave_s + 0.4, *spot))
            angle += 2.2
    return tuple(path)


def position(path: tuple[Move, ...], time_s: float) -> tuple[int, int]:
    """Where the cursor's tip is. Minimum-jerk movements (Flash and Hogan, 1985), as a hand makes them."""
    x, y = path[0].x, path[0].y
    for move in path[1:]:
        if time_s <= move.leave_s:
            break
        t = min(1.0, (time_s - move.leave_s) / (move.arrive_s - move.leave_s))
        share = t**3 * (10 - 15 * t + 6 * t * t)
        x, y = x + share * (move.x - x), y + share * (move.y - y)
    return round(x), round(y)


def word_times(spoken: Spoken) -> list[dict[str, Any]]:
    """The sentence's words; times within it are shared out by their letters, only the sentence's own ends are exact."""
    words = spoken.sentence.text.split()
    bounds = np.cumsum([0, *(len(word) + 1 for word in words)])
    times = spoken.start_s + bounds / bounds[-1] * (spoken.end_s - spoken.start_s)
    return [{"text": word, "start_s": float(times[i]), "end_s": float(times[i + 1])} for i, word in enumerate(words)]


def truth(lecture: Lecture, placed: list[Placed], screens: list[Screen], audible: bool) -> dict[str, Any]:
    """What is known of the film but for the cursor. Words are empty where nobody is heard."""
    domain = None if lecture.domain is Domain.NONMEDICAL else str(lecture.domain)
    shown = [(p, s) for p, s in zip(placed, screens, strict=True) if p.scene.picture]
    medical: list[dict[str, Any]] = []
    for p, _ in shown if domain else []:
        if medical and medical[-1]["end_s"] == p.start_s:
            medical[-1]["end_s"] = p.end_s
        else:
            medical.append({"start_s": p.start_s, "end_s": p.end_s, "domain": domain})
    return {
        "duration_s": placed[-1].end_s,
        "scenes": [
            {"start_s": p.start_s, "end_s": p.end_s, "kind": "picture" if p.scene.picture else "slide",
             "picture": p.scene.picture}
            for p in placed
        ],
        "sentences": [
            {"text": s.sentence.text, "start_s": s.start_s, "end_s": s.end_s}
            for p in placed for s in p.spoken if audible
        ],
        "words": [word for p in placed for s in p.spoken if audible for word in word_times(s)],
        "medical": medical,
        "regions": [
            {"start_s": s.start_s, "end_s": s.end_s, "box": list(screen.regions[s.sentence.region]),
             "name": s.sentence.region}
            for p, screen in shown for s in p.spoken if s.sentence.region
        ],
    }  # fmt: skip


def sound(lecture: Lecture, placed: Placed) -> np.ndarray:
    """The scene's sound, float32 at 24 kHz: the narration, or chords and noise."""
    first = round(placed.start_s * SAMPLE_RATE)
    samples = np.zeros(round(placed.end_s * SAMPLE_RATE) - first, np.float32)
    if lecture.sound == "speech":
        for spoken in placed.spoken:
            words = voice(spoken.sentence.text)
            at = round(spoken.start_s * SAMPLE_RATE) - first
            samples[at : at + len(words)] = words[: len(samples) - at]
        return samples
    time_s = (first + np.arange(len(samples))) / SAMPLE_RATE
    root = 220.0 * 2.0 ** (np.array([0, 5, 7, 3])[(time_s // 2.0).astype(int) % 4] / 12)
    ratios = np.array([[1.0], [1.25], [1.5], [2.0]])
    chord = np.sin(2 * np.pi * root * ratios * time_s).sum(axis=0)
    noise = np.random.default_rng(first).normal(0.0, 0.01, len(samples))
    samples[:] = 0.06 * chord * np.exp(-(time_s % 0.5) * 3) + noise
    return samples


def frame_steps(placed: Placed, fps: int, vfr: bool) -> Iterator[int]:
    """Presentation times of the scene's frames in half frame periods; a frame stands at the cut in any case."""
    at, end, turn = round(placed.start_s * fps * 2), round(placed.end_s * fps * 2), 0
    while at < end:
        yield at
        at += VFR_STEPS[turn % len(VFR_STEPS)] if vfr else 2
        turn += 1


def render(
    lecture: Lecture,
    path: Path,
    *,
    size: tuple[int, int] = (960, 540),
    fps: int = 15,
    vfr: bool = False,
    rotation: int = 0,
    audio: bool = True,
    video: bool = True,
    duration_s: float | None = None,
    pixel_format: str = "yuv420p",
    preset: str = "superfast",
) -> Path:
    """Render to `path` (container by its suffix) and its truth to `<name>.truth.json`.

    `size` is upright; the stored picture must be turned by `rotation` degrees counter-clockwise, as its display matrix
    says. `duration_s` repeats the lecture and cuts it there; None is the lecture once. With `vfr`, `fps` is the grid.

    The truth: `size` and `fps`; `scenes`, `sentences`, `words`, `medical` and `regions` with `start_s` and `end_s`;
    `cursor` with the tip of the arrow at every frame. Seconds, and pixels of the upright video.
    """
    import av

    stored = path.with_name(f"{path.stem}.stored{path.suffix}") if rotation else path
    screen_of = functools.cache(lambda scene: Screen.of(scene, size))
    end_s = None if duration_s is None else round(duration_s * fps) / fps
    placed = list(unroll(plan(lecture, fps), end_s))
    known = truth(lecture, placed, [screen_of(p.scene) for p in placed], audio and lecture.sound == "speech")
    head = {"name": lecture.name, "size": list(size), "fps": fps, **known}
    flags = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with (
        av.open(str(stored), "w", options=flags) as container,
        path.with_suffix(".truth.json").open("w", encoding="utf-8") as notes,
    ):
        film: Any = container.add_stream("libx264", rate=fps, options={"preset": preset, "crf": "23"}) if video else None
        if film:
            film.width, film.height = size[::-1] if rotation % 180 else size
            film.pix_fmt = pixel_format
            film.codec_context.time_base = Fraction(1, 2 * fps)
        sounds = {"rate": SAMPLE_RATE, "layout": "mono", "options": {"aac_coder": "fast"}}
        speech: Any = container.add_stream("aac", **sounds) if audio else None
        notes.write(json.dumps(head)[:-1] + ', "cursor": [')
        separator = "\n"
        for p in placed:
            samples = sound(lecture, p) if audio else np.zeros(0, np.float32)
            first, heard = round(p.start_s * SAMPLE_RATE), 0
            way = moves(p, screen := screen_of(p.scene))
            for step in frame_steps(p, fps, vfr) if film else ():
                time_s = step / (2 * fps)
                until = max(heard, round(time_s * SAMPLE_RATE) - first)
                _encode_sound(container, speech, samples[heard:until], first + heard)
                heard = until
                tip = position(way, time_s) if p.scene.picture else None
                frame = _frame(np.rot90(paste(screen, time_s, tip), -rotation // 90), pixel_format)
                frame.pts, frame.time_base = step, Fraction(1, 2 * fps)
                container.mux(film.encode(frame))
                x, y = tip or (0, 0)
                notes.write(separator + json.dumps({"time_s": time_s, "x": x, "y": y, "visible": tip is not None}))
                separator = ",\n"
            _encode_sound(container, speech, samples[heard:], first + heard)
        for stream in container.streams:
            container.mux(stream.encode(None))
        notes.write("]}\n")
    if rotation:
        _turn(stored, path, rotation)
    return path


def _frame(pixels: np.ndarray, pixel_format: str) -> Any:
    import av
    import cv2

    pixels = np.ascontiguousarray(pixels)
    if pixel_format == "yuv420p":  # OpenCV converts ten times as fast as swscale does
        return av.VideoFrame.from_ndarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def _encode_sound(container: Any, stream: Any, samples: np.ndarray, first: int) -> None:
    if stream is None or not len(samples):
        return
    import av

    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, first, Fraction(1, SAMPLE_RATE)
    container.mux(stream.encode(frame))


def _turn(stored: Path, path: Path, rotation: int) -> None:
    """Write the display matrix, which PyAV cannot, without touching the streams."""
    from imageio_ffmpeg import get_ffmpeg_exe

    flags = ["-hide_banner", "-loglevel", "error", "-y", "-display_rotation", str(rotation)]
    subprocess.run([get_ffmpeg_exe(), *flags, "-i", str(stored), "-c", "copy", str(path)], check=True)
    stored.unlink()
