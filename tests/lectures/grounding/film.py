"""Renders grounding films: 40 to 60 s each, narrated, whose rests, pointing, cuts and words are known.

`python -m tests.lectures.grounding.film FOLDER SEED COUNT` renders a set; what is there and made by the same code is kept.
"""

import dataclasses
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tests.lectures import pictures, render
from tests.lectures.grounding import cursors, truth
from tests.lectures.grounding.factors import Factors, factors
from tests.lectures.grounding.motion import Way, way
from tests.lectures.grounding.overlays import Overlays, ink, overlays
from tests.lectures.grounding.plan import Plan, plan
from tests.lectures.grounding.screens import Screen, screens
from tests.lectures.grounding.voice import speak
from tests.lectures.render import SAMPLE_RATE, VFR_STEPS, _encode_sound

_SHORTEST_REST_S = 3.0


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One film, planned and drawn but for its frames."""

    factors: Factors
    plan: Plan
    screens: list[Screen]
    way: Way | None
    overlays: Overlays

    @staticmethod
    def of(factors: Factors) -> "Film":
        """The film of these factors, the same every time."""
        planned = plan(factors)
        told = [[s.region for s in planned.said if s.scene == i and s.region] for i in range(len(planned.parts))]
        drawn = screens(factors, planned.parts, told)
        rng = np.random.default_rng([factors.seed, factors.index, 4])
        words = [word for one in words_of(planned) for word in one]
        cursor = way(factors, planned, [dict(screen.regions) for screen in drawn], rng)
        return Film(factors, planned, drawn, cursor, overlays(factors, drawn, words))

    def scene(self, time_s: float) -> int:
        """The scene at `time_s`; in the middle of a fade the next one begins."""
        return sum(part.start_s <= time_s + 1e-6 for part in self.plan.parts) - 1

    def picture(self, time_s: float) -> np.ndarray:
        """The main picture with its ink, a fresh uint8 (height, width, 3)."""
        import cv2

        number = self.scene(time_s)
        for later in (number, number + 1):
            if later < len(self.plan.parts) and (part := self.plan.parts[later]).fade_s and later:
                share = (time_s - part.start_s) / part.fade_s + 0.5
                if 0 < share < 1:
                    before, after = self._inked(later - 1, time_s), self._inked(later, time_s)
                    return cv2.addWeighted(before, 1 - share, after, share, 0)
        return self._inked(number, time_s)

    def _inked(self, number: int, time_s: float) -> np.ndarray:
        frame = self.screens[number].clean(time_s).copy()
        for stroke in self.way.strokes if self.way else ():
            if stroke.scene == number:
                ink(frame, dataclasses.replace(stroke, end_s=1e9), time_s)
        return frame

    def frame(self, time_s: float) -> tuple[np.ndarray, tuple[float, float, bool]]:
        """The frame at `time_s` and where the cursor is in it: x, y, visible."""
        frame, number = self.picture(time_s), self.scene(time_s)
        self.overlays.paste(frame, time_s, number, self.screens[number])
        if self.way is None:
            return frame, (0.0, 0.0, False)
        x, y, visible = self.way.at(time_s, self.factors.size)
        if visible:
            cursors.put(frame, self.look, self.factors.cursor_px, x, y)
        return frame, (x, y, visible)

    @property
    def look(self) -> str:
        """The cursor's drawing."""
        laser = ("laser_red", "laser_green")[(self.factors.seed + self.factors.index) % 2]
        return laser if self.factors.cursor == "laser" else str(self.factors.cursor)

    def rests(self) -> Iterator[tuple[int, float, float]]:
        """Scene, start and end of each stretch in which the main picture rests."""
        for number, (part, screen) in enumerate(zip(self.plan.parts, self.screens, strict=True)):
            following = self.plan.parts[number + 1].fade_s if number + 1 < len(self.plan.parts) else 0.0
            for span in screen.spans:
                start_s = max(span.start_s, part.start_s + part.fade_s / 2)
                end_s = min(span.end_s, part.end_s - following / 2)
                if span.still is not None and end_s - start_s >= _SHORTEST_REST_S:
                    yield number, start_s, end_s


def words_of(planned: Plan) -> list[list[tuple[str, float, float]]]:
    """The words of each sentence in their places."""
    return [[(word, one.start_s + a, one.start_s + b) for word, a, b in speak(one.text).words] for one in planned.said]


def known(film: Film, shown: list[tuple[float, float, float, bool]], rests: tuple[truth.Rest, ...]) -> truth.Truth:
    """All that is known of the film."""
    parts = film.plan.parts
    changes = [
        truth.Change(kind="fade" if fade_s else "cut", start_s=at_s - fade_s / 2, end_s=at_s + fade_s / 2)
        for at_s, fade_s in ((part.start_s, part.fade_s) for part in parts[1:])
    ]
    episodes = tuple(film.way.episodes) if film.way else ()
    episode_of = {one.sentence: i for i, one in enumerate(episodes)}
    spoken = [
        truth.Spoken(
            text=s.text,
            start_s=s.start_s,
            end_s=s.end_s,
            kind=s.kind,
            scene=None if s.kind == "other" else s.scene,
            episode=episode_of.get(i),
        )
        for i, s in enumerate(film.plan.said)
    ]
    words = [truth.Word(text=w, start_s=a, end_s=b) for one in words_of(film.plan) for w, a, b in one]
    return truth.Truth(
        size=film.factors.size,
        fps=film.factors.fps,
        duration_s=parts[-1].end_s,
        domain=film.factors.domain,
        factors=dataclasses.asdict(film.factors),
        scenes=tuple((p.start_s, p.end_s, p.kind) for p in parts),
        changes=tuple(changes),
        builds_s=tuple(mark for p in parts if p.kind == "slide" for mark in p.marks),
        rests=rests,
        cursor=tuple(shown),
        cursor_px=film.factors.cursor_px if film.way else 0.0,
        episodes=episodes,
        spoken=tuple(spoken),
        words=tuple(words),
    )


def render_film(factors: Factors, path: Path) -> Path:
    """Render to `path` (mp4), its truth and clean pictures beside it; kept where this code made it of these factors."""
    mark, made_by = path.with_name(f".{path.name}.made_by"), _made_by(factors)
    if path.exists() and mark.exists() and mark.read_text(encoding="utf-8") == made_by:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rendering-", dir=path.parent) as temporary:
        made = Path(temporary) / path.name
        film = Film.of(factors)
        shown = _encode(film, made)
        truth.pictures_of(made).mkdir()
        truth.save(known(film, shown, tuple(_clean(film, truth.pictures_of(made)))), made)
        shutil.rmtree(truth.pictures_of(path), ignore_errors=True)
        truth.pictures_of(made).replace(truth.pictures_of(path))
        notes = made.with_suffix(".truth.json")
        notes.replace(path.with_name(notes.name))
        made.replace(path)
    mark.write_text(made_by, encoding="utf-8")
    return path


def _clean(film: Film, folder: Path) -> Iterator[truth.Rest]:
    import cv2

    for turn, (number, start_s, end_s) in enumerate(film.rests()):
        middle_s, screen = (start_s + end_s) / 2, film.screens[number]
        pixels, ignored = screen.clean(middle_s).copy(), film.overlays.ignored(start_s, end_s, number, screen)
        for stroke in film.way.strokes if film.way else ():
            if stroke.scene != number:
                continue
            if stroke.drawn_s < middle_s:
                ink(pixels, stroke, middle_s)
            if stroke.drawn_s > start_s:
                edge = stroke.width_px + 2
                x0, y0, x1, y1 = stroke.box
                ignored.append((x0 - edge, y0 - edge, x1 + edge, y1 + edge))
        name = f"{turn:02}.png"
        cv2.imwrite(str(folder / name), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 2])
        yield truth.Rest(start_s=start_s, end_s=end_s, scene=number, picture=name, ignore=tuple(ignored))


def _steps(film: Film) -> Iterator[int]:
    """Presentation times in half frame periods; a frame stands at each cut in any case."""
    fps, turn = film.factors.fps, 0
    for part in film.plan.parts:
        at, end = round(part.start_s * fps * 2), round(part.end_s * fps * 2)
        while at < end:
            yield at
            at, turn = at + (VFR_STEPS[turn % len(VFR_STEPS)] if film.factors.vfr else 2), turn + 1


def _encode(film: Film, path: Path) -> list[tuple[float, float, float, bool]]:
    """Write the video; the cursor at each frame."""
    import av
    import cv2

    f, shown = film.factors, []
    rate = Fraction(f.fps).limit_denominator(1001)
    samples = _sound(film)
    noises = _noises(f)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        options = {"preset": f.preset, "crf": str(f.crf), "threads": "1"}
        video: Any = container.add_stream("libx264", rate=rate, options=options)
        video.width, video.height, video.pix_fmt = *f.size, "yuv420p"
        video.codec_context.time_base = base = 1 / (2 * rate)
        speech = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono", options={"aac_coder": "fast"})
        heard = 0
        for step in _steps(film):
            time_s = float(step * base)
            until = min(len(samples), max(heard, round(time_s * SAMPLE_RATE)))
            _encode_sound(container, speech, samples[heard:until], heard)
            heard = until
            pixels, cursor = film.frame(time_s)
            yuv = cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420)
            if noises is not None:
                _add_noise(yuv[: f.size[1]], noises, step)
            frame = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
            frame.pts, frame.time_base = step, base
            container.mux(video.encode(frame))
            shown.append((time_s, *cursor))
        _encode_sound(container, speech, samples[heard:], heard)
        for stream in container.streams:
            container.mux(stream.encode(None))
    return shown


def _sound(film: Film) -> np.ndarray:
    samples = np.zeros(round(film.plan.parts[-1].end_s * SAMPLE_RATE), np.float32)
    for one in film.plan.said:
        words, at = speak(one.text).samples, round(one.start_s * SAMPLE_RATE)
        samples[at : at + len(words)] = words[: len(samples) - at]
    return samples


def _noises(f: Factors) -> tuple[np.ndarray, np.ndarray] | None:
    """What is added and what is taken away, uint8, larger than the picture: each frame cuts its own piece."""
    if f.noise is None:
        return None
    rng = np.random.default_rng([f.seed, f.index, 5])
    noise = np.round(f.noise * rng.standard_normal((f.size[1] + 97, f.size[0] + 193), dtype=np.float32))
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)


def _add_noise(luma: np.ndarray, noises: tuple[np.ndarray, np.ndarray], step: int) -> None:
    import cv2

    y, x = step * 37 % 97, step * 71 % 193
    cut = slice(y, y + luma.shape[0]), slice(x, x + luma.shape[1])
    luma[:] = cv2.subtract(cv2.add(luma, noises[0][cut]), noises[1][cut])


def _made_by(factors: Factors) -> str:
    digest = hashlib.sha256(repr(factors).encode())
    for file in (*sorted(Path(__file__).parent.glob("*.py")), Path(pictures.__file__), Path(render.__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _make(seed: int, index: int, path: Path) -> float:
    """Seconds it took."""
    import cv2

    cv2.setNumThreads(1)
    started = time.perf_counter()
    render_film(factors(seed, index), path)
    return time.perf_counter() - started


def render_set(seed: int, count: int, folder: Path, processes: int = 2) -> list[Path]:
    """Render the first `count` films of a seed into `folder`; their paths, in order."""
    paths = [folder / f"s{seed}_{index:03}.mp4" for index in range(count)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        pending = {pool.submit(_make, seed, index, path): path for index, path in enumerate(paths)}
        for future in as_completed(pending):
            print(f"{pending[future].name} {future.result():.1f} s", flush=True)
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m tests.lectures.grounding.film FOLDER SEED COUNT")
    render_set(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[1]))
