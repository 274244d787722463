"""Renders a set of films, measures each in a process of its own thread, and pools the numbers."""

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.grounding.baselines import ROOT, baseline_tallies, found_tallies, hashed, kept
from tests.bench.grounding.found import Tally
from tests.bench.grounding.summary import FilmMeasure, Summary, merged
from tests.lectures.grounding import truth as known
from tests.lectures.grounding.factors import Factors
from tests.lectures.grounding.truth import Truth

HEARS = ("actors/transcriber.py", "pipelines/stages/transcript.py", "pipelines/config.py", "pipelines/recipes.py",
         "tests/bench/grounding/words.py", "tests/bench/grounding/ours.py")  # fmt: skip
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure_set(
    seed: int, count: int, out: Path, processes: int = 2, *, transcribe: bool = True, baselines: bool = True
) -> Summary:
    """The films 0 to `count` of `seed`, measured.

    Args:
        seed: of the set.
        count: how many films.
        out: films are rendered to `out/films` (those that are there are kept), results go to `out`.
        processes: films measured at a time, each on one thread.
        transcribe: measure word times too.
        baselines: measure the published rules too.

    Returns:
        The summary; also written as `grounding.parquet`.
    """
    from tests.lectures.grounding.film import render_set

    films = out / "films"
    films.mkdir(parents=True, exist_ok=True)
    paths = [Path(p) for p in render_set(seed, count, films, processes)]
    summary = measure_films(paths, processes, transcribe=transcribe, baselines=baselines)
    summary.write(out / "grounding.parquet")
    return summary


def measure_films(paths: list[Path], processes: int, *, transcribe: bool, baselines: bool) -> Summary:
    """Films that are already rendered."""
    with _pool(processes) as pool:
        measured = [pool.submit(measure_film, p, transcribe=transcribe, baselines=baselines) for p in paths]
        return merged(m.result() for m in measured)


def measure_factors(films: Sequence[Factors], out: Path, processes: int = 2) -> Summary:
    """Films of these factors, rendered into `out` and measured: no words, no baselines, no speed."""
    with _pool(processes) as pool:
        measured = [pool.submit(_rendered_and_measured, f, out / f"s{f.seed}_{f.index:03}.mp4") for f in films]
        return merged(m.result() for m in measured)


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when a process starts
    try:
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _rendered_and_measured(factors: Factors, path: Path) -> FilmMeasure:
    import cv2

    from tests.lectures.grounding.film import render_film

    cv2.setNumThreads(1)
    return measure_film(render_film(factors, path), transcribe=False, baselines=False, timed=False)


def measure_film(path: Path, *, transcribe: bool, baselines: bool, timed: bool = True) -> FilmMeasure:
    """One film: ours, and if asked the words, the baselines, and the visual pass's speed beside bare decoding's."""
    import cv2

    from tests.bench.grounding.ours import grounded
    from tests.bench.grounding.pictures import Album

    cv2.setNumThreads(1)
    cv2.setUseOptimized(True)
    truth = known.load(path)
    album = Album(truth, known.pictures_of(path))
    found = grounded(path, truth)
    ours = found_tallies(found, album)
    if timed:
        ours += speed(path, truth, found.seconds["look"])
    if transcribe:
        ours += word_error(path, truth)
    tallies = {"ours": tuple(ours)}
    if baselines:
        tallies |= {m: tuple(t) for m, t in baseline_tallies(path).items()}
    factors: dict[str, Any] = {"domain": truth.domain, "height": truth.size[1], "fps": truth.fps, **truth.factors}
    return FilmMeasure(film=path.stem, factors=factors, tallies=tallies, digest=found.digest)


def speed(path: Path, truth: Truth, look_s: float) -> list[Tally]:
    """The visual pass and bare decoding against real time."""
    from tests.bench.grounding.frames import decode_seconds

    decode_s = decode_seconds(path)
    return [
        Tally(metric="seconds.decode", numerator=decode_s, denominator=1.0),
        Tally(metric="speed.look", numerator=truth.duration_s, denominator=look_s),
        Tally(metric="speed.decode", numerator=truth.duration_s, denominator=decode_s),
    ]


def word_error(path: Path, truth: Truth) -> list[Tally]:
    """Words heard against words spoken; kept beside the film while the transcriber stays the same."""
    from tests.bench.grounding.ours import heard
    from tests.bench.grounding.words import word_tallies

    key = hashed([path, path.with_suffix(".truth.json"), *(ROOT / source for source in HEARS)])
    return kept(path, "words", key, lambda: {"ours": word_tallies(heard(path, truth), truth.words)})["ours"]
