"""What is known of a rendered grounding lecture, beside its file: `<stem>.truth.json`, pictures in `<stem>.pictures/`.

Seconds of the video's clock; pixels of the upright video, origin top left; a cursor's place is its hot spot (the tip of
an arrow or a finger, the centre of a cross, dot or disc).
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One scene turns into another: `cut` (both times are the new scene's first frame) or `fade` (its beginning and end)."""

    kind: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A stretch of at least 3 s in which the picture rests: a slide between two builds, a still picture, a held view."""

    start_s: float
    end_s: float
    scene: int
    """Index among the scenes, in time order."""
    picture: str
    """PNG in the pictures' folder: the clean picture, without cursor, caret, captions, clock hand or inset speaker;
    with the ink and the slide's lines that are on show for most of the stretch."""
    ignore: tuple[Box, ...]
    """Where the clean picture is not defined: insets that move, clock, captions, caret; ink that came or went midway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """The cursor points at a target while a sentence speaks of it."""

    start_s: float
    end_s: float
    box: Box
    """The target's."""
    sentence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One spoken sentence."""

    text: str
    start_s: float
    end_s: float
    kind: str
    """`medical` (of the whole picture), `roi` (of the region pointed at), or `other` (greetings, no picture)."""
    scene: int | None
    """The scene whose picture it speaks of; None for `other`."""
    episode: int | None
    """The pointing episode it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One spoken word."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All that is known of one lecture."""

    size: tuple[int, int]
    fps: float
    duration_s: float
    domain: str
    factors: dict[str, Any]
    scenes: tuple[tuple[float, float, str], ...]
    """start_s, end_s, kind: `slide`, `picture`, `moving`, `scroll` or `viewer` (holds, pans and zooms)."""
    changes: tuple[Change, ...]
    builds_s: tuple[float, ...]
    rests: tuple[Rest, ...]
    cursor: tuple[tuple[float, float, float, bool], ...]
    """time_s, x, y, visible; one a frame."""
    cursor_px: float
    """The longer edge of its drawing."""
    episodes: tuple[Episode, ...]
    spoken: tuple[Spoken, ...]
    words: tuple[Word, ...]


def save(truth: Truth, video: Path) -> None:
    """Write it beside the video."""
    video.with_suffix(".truth.json").write_text(json.dumps(dataclasses.asdict(truth)), encoding="utf-8")


def load(video: Path) -> Truth:
    """The truth beside the video."""
    known = json.loads(video.with_suffix(".truth.json").read_bytes())
    parts: dict[str, Any] = {"changes": Change, "episodes": Episode, "spoken": Spoken, "words": Word}
    for name, kind in parts.items():
        known[name] = tuple(kind(**one) for one in known[name])
    known["rests"] = tuple(Rest(**{**one, "ignore": tuple(map(tuple, one["ignore"]))}) for one in known["rests"])
    for name in ("size", "builds_s"):
        known[name] = tuple(known[name])
    for name in ("scenes", "cursor"):
        known[name] = tuple(map(tuple, known[name]))
    return Truth(**known)


def pictures_of(video: Path) -> Path:
    """The folder of the clean pictures."""
    return video.with_suffix(".pictures")
