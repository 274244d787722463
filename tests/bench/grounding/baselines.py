"""The published rules, PySceneDetect and the codec's floor on one film; what they gave is kept beside it.

They depend on the film and on the bench alone, so that while ours is worked on they are measured once.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.grounding.detectors import scene_cuts
from tests.bench.grounding.found import Found, Tally, count
from tests.bench.grounding.frames import stacks
from tests.bench.grounding.metrics import alignment_tallies, episode_tallies, scene_tallies, stable_tallies, trace_tallies
from tests.bench.grounding.pictures import Album, floor_tallies, image_tallies
from tests.bench.grounding.published import Constants, stills
from tests.bench.grounding.published_text import chunks, clustered, linked
from tests.lectures.grounding import truth as known
from tests.lectures.grounding.truth import Truth

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCES = ("baselines", "detectors", "found", "frames", "metrics", "pictures", "published", "published_text")
FLOOR_FRAMES = 15


def published(path: Path, truth: Truth, cuts_s: tuple[float, ...]) -> Found:
    """Rules A to F on one film.

    Key frames are the first frames of the scenes that PySceneDetect's AdaptiveDetector finds. Two classifiers that the
    published system has are replaced by the truth, in its favour: a key frame is medical if any sentence speaks of its
    scene, and every picture passes.
    """
    constants = Constants()
    started = time.perf_counter()
    key_frames_s = (0.0, *cuts_s)
    stable = stills(path, key_frames_s, truth.duration_s, constants)
    spoken_of = {s.scene for s in truth.spoken if s.scene is not None}
    medical = [_scene_at(truth, t) in spoken_of for t in key_frames_s]
    windows = chunks(key_frames_s, medical)
    episodes = []
    for interval, trace in zip(stable.intervals, stable.traces, strict=True):
        said = [(i, s) for i, s in enumerate(truth.spoken)
                if interval.start_s <= (s.start_s + s.end_s) / 2 < interval.end_s]  # fmt: skip
        episodes += clustered(trace, said, truth.size)
    return Found(
        cuts_s=cuts_s,
        intervals=stable.intervals,
        images=stable.images,
        trace=tuple(p for trace in stable.traces for p in trace),
        episodes=tuple(e for e, _ in episodes),
        links=tuple(linked(truth.spoken, truth.words, windows, stable.intervals, episodes)),
        seconds={"published": time.perf_counter() - started},
    )


def _scene_at(truth: Truth, time_s: float) -> int:
    return max((i for i, (start, _, _) in enumerate(truth.scenes) if start <= time_s + 0.05), default=0)


def found_tallies(found: Found, album: Album) -> list[Tally]:
    """Everything that is measured of one method on one film."""
    truth = album.truth
    return [
        *scene_tallies(found.cuts_s, truth.changes),
        *stable_tallies(found.intervals, truth),
        *image_tallies(found, album),
        *trace_tallies(found.trace, truth),
        *episode_tallies(found.episodes, truth),
        *alignment_tallies(found.links, found.intervals, found.episodes, truth),
        *(count(f"seconds.{part}", s) for part, s in found.seconds.items()),
    ]


def baseline_tallies(path: Path) -> dict[str, list[Tally]]:
    """`published` (scenes by AdaptiveDetector), `content` (scenes by ContentDetector) and `codec` (the images' floor)."""
    return kept(path, "baselines", _key(path), lambda: _measured(path))


def _measured(path: Path) -> dict[str, list[Tally]]:
    truth = known.load(path)
    album = Album(truth, known.pictures_of(path))
    started = time.perf_counter()
    adaptive = scene_cuts(path, "AdaptiveDetector")
    adaptive_s = time.perf_counter() - started
    rests = stacks(path, [(r.start_s, r.end_s) for r in truth.rests], FLOOR_FRAMES)
    return {
        "published": [*found_tallies(published(path, truth, adaptive), album), count("seconds.adaptive", adaptive_s)],
        "content": scene_tallies(scene_cuts(path, "ContentDetector"), truth.changes),
        "codec": floor_tallies(rests, album),
    }


def kept(path: Path, name: str, key: str, measure: Callable[[], dict[str, list[Tally]]]) -> dict[str, list[Tally]]:
    """`measure()`, or what it gave before under the same key: `<stem>.<name>.json` beside the film."""
    file = path.with_suffix(f".{name}.json")
    if file.exists():
        before = json.loads(file.read_bytes())
        if before["key"] == key:
            return {m: [_tally(t) for t in tallies] for m, tallies in before["tallies"].items()}
    measured = measure()
    plain = {m: [dataclasses.asdict(t) for t in tallies] for m, tallies in measured.items()}
    file.write_text(json.dumps({"key": key, "tallies": plain}), encoding="utf-8")
    return measured


def _tally(plain: dict[str, Any]) -> Tally:
    values = plain["values"]
    return Tally(**{**plain, "values": None if values is None else tuple(values)})


def _key(path: Path) -> str:
    return hashed([path, path.with_suffix(".truth.json"), *(HERE / f"{name}.py" for name in SOURCES)])


def hashed(files: list[Path]) -> str:
    """SHA-256 over the files' contents."""
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
