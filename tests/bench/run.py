"""`make bench`: what the pipeline costs beside the libraries it stands on, medians of several, in one run.

    python -m tests.bench.run [screen] [look] [listen] [rewrite] [whole] [memory] [train] [pack] [serve] [evaluate]

File: a rendered MRI lecture, H.264 1080p 30 fps, x264 defaults (medium, CRF 23, key frames by the encoder), AAC, its
packets repeated to 10 minutes; kept in build/bench. Everything runs on one core with one thread unless said; training,
serving and evaluation on all cores, with the starter VLM.
"""

import contextlib
import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.bench import evaluating, packing, serving, training
from tests.bench.films import film
from tests.bench.timing import REPEATS, in_turns, median_s, said_by

FOLDER = Path("build/bench")
MINUTES = float(os.environ.get("PRECEPTOR_BENCH_MINUTES", "10"))


def lecture() -> Path:
    """The ten-minute film, rendered once."""
    return film(FOLDER / f"lecture_1080p30_{MINUTES:g}min.mp4", MINUTES, size=(1920, 1080), fps=30, preset="medium")


def row(what: str, seconds: float, beside: str = "") -> None:
    """One line of the table."""
    print(f"{what:46} {seconds:8.2f} s  {60 * MINUTES / seconds:7.1f} x real time  {beside}", flush=True)


def bench_screen() -> None:
    """The cheap pass, audio and classes included, against decoding alone and PySceneDetect; one core, one thread."""
    from actors.frame_stages import ScreenClassifier
    from pipelines import recipes
    from pipelines.job import Job
    from pipelines.schema import Video
    from pipelines.stages.screen import Screened as Found
    from pipelines.stages.screen import screen

    path, config = lecture(), recipes.starter()
    classifier = ScreenClassifier(config, threads=1)

    def ours(classify: bool = True) -> None:
        (found,) = [m for m in screen(str(path), config) if isinstance(m, Found)]
        if classify:
            classifier(Job(video=Video(video_id="a", uri=str(path), speech=found.speech), samples=found.frames))

    def adaptive() -> None:
        from scenedetect import AdaptiveDetector, SceneManager, open_video

        manager = SceneManager()
        manager.add_detector(AdaptiveDetector())
        manager.detect_scenes(open_video(str(path)))

    floor = median_s(lambda: decode(path, "NONKEY"))
    row("floor: key frames decoded, nothing else", floor)
    whole = median_s(ours)
    row("screen, audio and frame classes included", whole, f"{whole / floor:.1f} x the floor; bar: 40 x real time")
    row("  of it without frame classes", median_s(lambda: ours(False)))
    row("every frame decoded, one thread", median_s(lambda: decode(path, "DEFAULT")))
    row("PySceneDetect AdaptiveDetector", median_s(adaptive))


def decode(path: Path, skip: str) -> None:
    """Every frame that is not skipped, one thread, and nothing done with it."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame, stream.codec_context.thread_count = skip, 1
        for _ in container.decode(stream):
            pass


def bench_look() -> None:
    """The full pass in its child process against decoding alone, one thread, in turns."""
    from actors.decoder import Decoder
    from actors.requests import LookRequest
    from pipelines import recipes

    path, config = lecture(), recipes.starter()
    decoder = Decoder(config.resources)
    request = LookRequest(
        uri=str(path), video_id="bench", out=str(FOLDER / "look"), static=True, settings=config.look, until_s=0.0
    )
    bare, whole = in_turns(lambda: decode(path, "DEFAULT"), lambda: list(decoder.ask(request, 600.0)))
    decoder.close()
    row("every frame decoded, one thread", bare)
    row("look: one decode, scenes, images, traces", whole, f"{whole / bare:.1f} x decoding; bar: 6 x real time (of 24)")


def bench_listen() -> None:
    """Transcription against faster-whisper alone with the same options; two threads."""
    from faster_whisper import WhisperModel

    from actors.screener import Screener
    from actors.transcriber import Transcriber, model_source
    from pipelines import recipes
    from pipelines.job import Job
    from pipelines.schema import Video

    path, config = lecture(), recipes.starter()
    screened = Screener(config)(Job(video=Video(video_id="a", uri=str(path))))
    ours = Transcriber(config, threads=2)
    library = WhisperModel(model_source(config.transcript), device="cpu", compute_type="int8", cpu_threads=2)

    def alone() -> None:
        found, _ = library.transcribe(str(path), language="en", beam_size=1, temperature=0.0, vad_filter=True,
                                      word_timestamps=True, condition_on_previous_text=False)  # fmt: skip
        list(found)

    library_s, ours_s = in_turns(alone, lambda: ours(Job(video=screened.video)))
    row("faster-whisper alone, two threads", library_s)
    row("listen", ours_s, f"{ours_s / library_s - 1:+.1%} against the library; bar: +10 %")


def bench_rewrite() -> None:
    """Rewriting against bare vLLM with the same prompts; the loading apart."""
    ours, bare = (float(said_by("tests.bench.rewriting", which, str(FOLDER / "prompts.json"))) for which in ("ours", "bare"))
    print(f"{'bare vLLM, all prompts at once':46} {bare:8.2f} s")
    print(f"{'rewriting, rows at a time as in a run':46} {ours:8.2f} s  {bare / ours:.0%} of bare vLLM; bar: 85 %")


def bench_whole() -> None:
    """A whole run against the sum of its stages, each alone in a process that has loaded its model, two threads."""
    runs = [run_once() for _ in range(REPEATS)]
    alone = [json.loads(said_by("tests.bench.run", "stages_alone")) for _ in range(REPEATS)]
    for stage in alone[0]:
        seconds, in_run = (statistics.median(x[stage] for x in measured) for measured in (alone, runs))
        row(f"{stage} alone", seconds, f"in the run {in_run:.1f} s")
    total = statistics.median(sum(x.values()) for x in alone)
    streamed, startup, command = (statistics.median(x[key] for x in runs) for key in ("streamed", "startup", "command"))
    row("sum of the stages alone", total)
    row("the run after its start-up", streamed, f"{streamed / total:.2f} of the sum; bar: 1.25")
    print(f"start-up {startup:.1f} s; the command with everything {command:.1f} s", flush=True)


def run_once() -> dict[str, float]:
    """Seconds of each stage in a run, of its start-up, of what follows it, and of the whole command."""
    from pipelines.dataset import rows

    out = FOLDER / "whole"
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    command = [sys.executable, "-m", "cluster.cli", "curate", str(lecture()), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    command_s = time.perf_counter() - started
    facts = json.loads((out / "run.json").read_text())
    (video,) = rows(str(out))
    assert video.status == "ok", video.detail
    times = {"startup": facts["startup_s"], "streamed": facts["seconds"] - facts["startup_s"], "command": command_s}
    return times | {spent.stage: spent.seconds for spent in video.stage_times}


def stages_alone() -> None:
    """Seconds of each stage's work on the lecture, one after the other; models loaded before."""
    from pipelines import recipes
    from pipelines.curate import stages
    from pipelines.job import Job
    from pipelines.schema import Video
    from pipelines.settings import with_settings

    threads = [f"resources.{pool}.threads=2" for pool in ("classify", "listen", "write")]
    config = with_settings(recipes.starter(), threads)
    job = Job(video=Video(video_id="bench", uri=str(lecture().absolute())))
    seconds = {}
    for stage in stages(config, str((FOLDER / "alone").absolute())):
        work = stage.make(**stage.kwargs)
        started = time.perf_counter()
        job = work(job)
        seconds[stage.name] = round(time.perf_counter() - started, 2)
    print(json.dumps(seconds), flush=True)
    os._exit(0)


def peak_memory(path: Path) -> dict[str, int]:
    """Peak resident bytes of each kind of process while the film is curated."""
    from pipelines.dataset import rows

    out = FOLDER / f"memory_{path.stem}"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "cluster.cli", "curate", str(path), "--out", str(out)]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    peaks: dict[str, int] = {}
    family = [process]
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [process, *process.children(recursive=True)]
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                kind = kind_of(" ".join(child.cmdline()), child.pid == process.pid)
                peaks[kind] = max(peaks.get(kind, 0), child.memory_info().rss)
        time.sleep(0.2)
    (video,) = rows(str(out))
    assert (process.returncode, video.status) == (0, "ok"), video.detail
    return peaks


def kind_of(command: str, is_driver: bool) -> str:
    """What a process is for: a stage, another of Ray's workers, the decoding child, the driver or Ray itself."""
    worker = re.match(r"ray::(?:MapWorker\(Map\((\w+)\)\)|(\w+))", command)
    if worker:
        return f"stage {worker[1]}" if worker[1] else f"ray {worker[2]}"
    return "decoder child" if "decoder_child" in command else "driver" if is_driver else "ray itself"


def bench_memory() -> None:
    """Peak memory of every process: two hours against ten minutes of the same film, spoken for one turn in six."""
    short, long = (
        peak_memory(film(FOLDER / f"lecture_360p5_{m}min.mp4", m, silent_turns=5, size=(640, 360), fps=5)) for m in (10, 119)
    )
    for kind in sorted(short.keys() & long.keys()):
        a, b = short[kind], long[kind]
        print(f"{kind:34} {a / 2**20:8.0f} MiB for 10 min {b / 2**20:8.0f} MiB for 2 h {b / a - 1:+7.1%}", flush=True)
    print(f"only in one of the two: {', '.join(sorted(short.keys() ^ long.keys())) or 'none'}; bar: within 10 %")


BENCHES = {"screen": bench_screen, "look": bench_look, "listen": bench_listen, "rewrite": bench_rewrite,
           "whole": bench_whole, "memory": bench_memory,
           **{name: functools.partial(module.bench, FOLDER / name) for name, module in
              (("train", training), ("pack", packing), ("serve", serving), ("evaluate", evaluating))}}  # fmt: skip


def main() -> None:
    """Run the named benches, or all, each in a process of its own; one that fails stops them."""
    if sys.argv[1:] in [["--one", name] for name in BENCHES]:
        BENCHES[sys.argv[2]]()
        return
    if sys.argv[1:] == ["stages_alone"]:
        stages_alone()
    for name in sys.argv[1:] or BENCHES:
        print(f"--- {name}", flush=True)
        pinned = name in ("screen", "look")
        command = [sys.executable, "-m", "tests.bench.run", "--one", name]
        threads = "1" if pinned else "2"
        # Ray's workers stand back for other processes (nice 15), and what they are compared with does not
        environment = dict(os.environ, OMP_NUM_THREADS=threads, RAY_worker_niceness="0", TQDM_DISABLE="1")
        subprocess.run([*(["taskset", "-c", "0"] if pinned else []), *command], check=True, env=environment)


if __name__ == "__main__":
    main()
