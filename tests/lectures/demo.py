"""The demo set: lectures and what is not one, with the outcome that each must have.

`python -m tests.lectures.demo FOLDER` renders it; what is there and was rendered by the same code is kept.
"""

import dataclasses
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.lectures import pictures, render, script
from tests.lectures.script import HISTOPATHOLOGY, MRI, MRI_PLANES, OPHTHALMOLOGY, TALK, Lecture, silenced

EXPECTED: dict[str, tuple[str, str | None]] = {
    "mri.mp4": ("ok", None),
    "ophthalmology.mp4": ("ok", None),
    "histopathology.mp4": ("ok", None),
    "odd_sized.mkv": ("ok", None),
    "cut_off.mp4": ("ok", None),
    "talk.mp4": ("rejected", "not_medical"),
    "silent_film.mp4": ("rejected", "no_speech"),
    "slideshow.mp4": ("rejected", "no_audio"),
    "short.mp4": ("rejected", "too_short"),
    "audio_only.mp4": ("rejected", "no_video"),
    "empty.mp4": ("failed", "unreadable"),
    "text.mp4": ("failed", "unreadable"),
}
"""File name to (status, reason)."""

CUT_AT_S = 80.0
"""Where the bytes of `cut_off.mp4` end; it announces 100 s."""


@dataclasses.dataclass(frozen=True, slots=True)
class Film:
    """A rendered demo video: its lecture and how it is stored (keywords of `render`)."""

    lecture: Lecture
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


LONG_ENOUGH_S = 62.0
"""Not to be rejected as too short, where another reason is meant."""
FILMS: dict[str, Film] = {
    "mri.mp4": Film(MRI),
    "ophthalmology.mp4": Film(OPHTHALMOLOGY, {"vfr": True}),
    "histopathology.mp4": Film(HISTOPATHOLOGY, {"rotation": 90}),
    "odd_sized.mkv": Film(MRI_PLANES, {"size": (853, 481), "pixel_format": "yuv444p"}),
    "cut_off.mp4": Film(MRI, {"duration_s": 100.0}),
    "talk.mp4": Film(TALK, {"duration_s": LONG_ENOUGH_S}),
    "silent_film.mp4": Film(silenced(OPHTHALMOLOGY), {"duration_s": LONG_ENOUGH_S}),
    "slideshow.mp4": Film(HISTOPATHOLOGY, {"audio": False, "duration_s": LONG_ENOUGH_S}),
    "short.mp4": Film(MRI, {"duration_s": 20.0}),
    "audio_only.mp4": Film(MRI, {"video": False, "duration_s": LONG_ENOUGH_S}),
}


def render_demo(folder: Path, only: Sequence[str] | None = None) -> list[Path]:
    """Render the demo set, or the named files of it, into `folder`; the videos' paths, in the order of `EXPECTED`.

    Raises:
        KeyError: `only` names a file that is not in the set.
    """
    if unknown := set(only or ()) - set(EXPECTED):
        raise KeyError(f"not in the demo set: {', '.join(sorted(unknown))}")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in EXPECTED if only is None or name in only]
    for name in (kept := [name for name in wanted if _is_current(folder / name)]):
        _say(name, "kept")
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        pending = {processes.submit(_make, folder, name): name for name in wanted if name not in kept}
        for future in as_completed(pending):
            _say(pending[future], f"{future.result():.1f} s")
    return [folder / name for name in wanted]


def _say(name: str, done: str) -> None:
    status, reason = EXPECTED[name]
    print(f"{name:20} {status:9} {reason or '-':12} {done}", flush=True)


def render_original(name: str, folder: Path) -> Path:
    """The upright, constant-rate, whole original of a demo film, for comparison: `<folder>/<stem>.original.mp4`."""
    folder.mkdir(parents=True, exist_ok=True)
    film = FILMS[name]
    length = {key: value for key, value in film.settings.items() if key == "duration_s"}
    return render.render(film.lecture, folder / f"{Path(name).stem}.original.mp4", **length)


def load_truth(video: Path) -> dict[str, Any]:
    """The truth beside a rendered video, see `render`."""
    known: dict[str, Any] = json.loads(video.with_suffix(".truth.json").read_bytes())
    return known


def cut_off(path: Path, at_s: float) -> None:
    """Cut the file's bytes in the middle of the first video packet at or after `at_s`."""
    import av

    with av.open(str(path)) as container:
        packets = (p for p in container.demux(container.streams.video[0]) if p.dts is not None and p.pos is not None)
        end = next(p.pos + p.size // 2 for p in packets if p.dts * p.time_base >= at_s)
    os.truncate(path, end)


def _make(folder: Path, name: str) -> float:
    """Seconds it took."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".rendering-", dir=folder) as temporary:
        path = Path(temporary) / name
        if name == "empty.mp4":
            path.write_bytes(b"")
        elif name == "text.mp4":
            path.write_text("These are the notes of a lesson, not a film.\n" * 40, encoding="utf-8")
        else:
            film = FILMS[name]
            render.render(film.lecture, path, **film.settings)
            if name == "cut_off.mp4":
                cut_off(path, CUT_AT_S)
            notes = path.with_suffix(".truth.json")
            notes.replace(folder / notes.name)
        path.replace(folder / name)
    _mark(folder / name).write_text(_made_by(name), encoding="utf-8")
    return time.perf_counter() - started


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}.made_by")


def _is_current(path: Path) -> bool:
    mark = _mark(path)
    return path.exists() and mark.exists() and mark.read_text(encoding="utf-8") == _made_by(path.name)


def _made_by(name: str) -> str:
    """A digest of the code and the film's settings: other code, another film."""
    digest = hashlib.sha256(repr(FILMS.get(name)).encode())
    for file in (pictures.__file__, render.__file__, script.__file__, __file__):
        assert file is not None
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.lectures.demo FOLDER")
    render_demo(Path(sys.argv[1]))
