"""`make bench`: what the pipeline costs beside the libraries it stands on, medians of several, in one run.

    python -m tests.bench.run [screen] [look] [listen] [whole] [memory]

Files: a rendered MRI lecture repeated to 10 minutes, H.264 1080p 30 fps, x264 defaults (medium, CRF 23, key frames by the
encoder), AAC; kept in build/bench. Everything is pinned to one core unless said.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.lectures import render
from tests.lectures.script import MRI

FOLDER = Path("build/bench")
MINUTES = float(os.environ.get("PRECEPTOR_BENCH_MINUTES", "10"))
REPEATS = 3


def lecture() -> Path:
    """The ten-minute film, rendered once."""
    path = FOLDER / f"lecture_1080p30_{MINUTES:g}min.mp4"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = FOLDER / "part.mp4"
        render.render(MRI, part, size=(1920, 1080), fps=30, duration_s=60.0 * MINUTES, preset="medium")
        part.replace(path)
    return path


def median_s(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median wall-clock seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def row(what: str, seconds: float, beside: str = "") -> None:
    """One line of the table."""
    print(f"{what:46} {seconds:8.2f} s  {60 * MINUTES / seconds:7.1f} x real time  {beside}", flush=True)


def bench_screen() -> None:
    """The cheap pass, audio and classes included, against decoding alone and PySceneDetect; one core, one thread."""
    import av

    from actors.frame_stages import ScreenClassifier
    from actors.requests import Screened, Small
    from actors.screener import _until_next
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
            frames = tuple(Small(time_s=t, until_s=t, jpeg=j) for t, j in found.frames)
            seen = Screened(probe=found.probe, speech=found.speech, audio_s=found.audio_s, frames=frames)
            classifier(Job(video=Video(video_id="a", uri=str(path), speech=found.speech), samples=_until_next(seen)))

    def decode(skip: str) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame, stream.codec_context.thread_count = skip, 1
            for _ in container.decode(stream):
                pass

    def adaptive() -> None:
        from scenedetect import AdaptiveDetector, SceneManager, open_video

        manager = SceneManager()
        manager.add_detector(AdaptiveDetector())
        manager.detect_scenes(open_video(str(path)))

    floor = median_s(lambda: decode("NONKEY"))
    row("floor: key frames decoded, nothing else", floor)
    whole = median_s(ours)
    row("screen, audio and frame classes included", whole, f"{whole / floor:.1f} x the floor; bar: 40 x real time")
    row("  of it without frame classes", median_s(lambda: ours(False)))
    row("every frame decoded, one thread", median_s(lambda: decode("DEFAULT"), 1))
    row("PySceneDetect AdaptiveDetector", median_s(adaptive, 1))


def bench_look() -> None:
    """The full pass in its child process, one thread."""
    from actors.decoder import Decoder
    from actors.requests import LookRequest
    from pipelines import recipes

    path, config = lecture(), recipes.starter()
    decoder = Decoder(config.resources)
    request = LookRequest(
        uri=str(path), video_id="bench", out=str(FOLDER / "look"), static=True, settings=config.look
    )
    row("look: one decode, scenes, images, traces", median_s(lambda: list(decoder.ask(request, 600.0)), 1))
    decoder.close()


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

    times: dict[str, list[float]] = {"ours": [], "library": []}
    for _ in range(REPEATS):  # in turns, so that a noisy neighbour meets both
        times["library"].append(median_s(alone, 1))
        times["ours"].append(median_s(lambda: ours(Job(video=screened.video)), 1))
    library_s, ours_s = statistics.median(times["library"]), statistics.median(times["ours"])
    row("faster-whisper alone, two threads", library_s)
    row("listen", ours_s, f"{ours_s / library_s - 1:+.1%} against the library; bar: +10 %")


def bench_whole() -> None:
    """A whole run against the sum of its stages, each alone, from the same rows' own times."""
    out = FOLDER / "whole"
    subprocess.run(["rm", "-rf", str(out)], check=True)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cluster.cli", "curate", str(lecture()), "--out", str(out)], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    whole_s = time.perf_counter() - started
    run_s = json.loads((out / "run.json").read_text())["seconds"]
    from pipelines.dataset import rows

    stages: dict[str, float] = {}
    for video in rows(str(out)):
        for spent in video.stage_times:
            stages[spent.stage] = stages.get(spent.stage, 0.0) + spent.seconds
    for stage, seconds in stages.items():
        row(f"stage {stage} in the run", seconds)
    row("the command, start-up included", whole_s, f"the streaming job alone {run_s:.1f} s")


def peak_memory(arguments: list[str]) -> dict[str, int]:
    """Peak resident bytes of each kind of process while the command runs."""
    process = psutil.Popen([sys.executable, "-m", "cluster.cli", *arguments], stdout=subprocess.DEVNULL)
    peaks: dict[str, int] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            for child in [process, *process.children(recursive=True)]:
                try:
                    name, resident = " ".join(child.cmdline())[:90], child.memory_info().rss
                except psutil.Error:
                    continue
                kind = next((k for k in ("decoder_child", "ray::screen", "ray::look", "ray::listen", "ray::write",
                                         "ray::classify_frames", "ray::classify") if k in name), "")  # fmt: skip
                kind = kind or (name.split()[0] if name.startswith("ray::") else "driver" if child == process else "ray")
                peaks[kind] = max(peaks.get(kind, 0), resident)

    thread = threading.Thread(target=watch)
    thread.start()
    process.wait()
    done.set()
    thread.join()
    return peaks


def bench_memory() -> None:
    """Peak memory of every process: two hours against ten minutes of the same film."""
    import imageio_ffmpeg

    short, long = FOLDER / "ten_minutes.mp4", FOLDER / "two_hours.mp4"
    if not long.exists():
        render.render(MRI, short, size=(960, 540), fps=15, duration_s=600.0)
        part = FOLDER / "part.mp4"
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-stream_loop", "11", "-i", str(short),
                        "-c", "copy", "-t", "7190", "-y", str(part)], check=True)  # fmt: skip
        part.replace(long)
    peaks = {}
    for film in (short, long):
        out = FOLDER / f"memory_{film.stem}"
        subprocess.run(["rm", "-rf", str(out)], check=True)
        peaks[film] = peak_memory(["curate", str(film), "--out", str(out)])
    for kind in sorted(peaks[short].keys() & peaks[long].keys()):
        a, b = peaks[short][kind], peaks[long][kind]
        print(f"{kind:28} {a / 2**20:8.0f} MiB for 10 min {b / 2**20:8.0f} MiB for 2 h {b / a - 1:+7.1%}", flush=True)


BENCHES = {"screen": bench_screen, "look": bench_look, "listen": bench_listen,
           "whole": bench_whole, "memory": bench_memory}  # fmt: skip


def main() -> None:
    """Run the named benches, or all."""
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    for name in sys.argv[1:] or BENCHES:
        print(f"--- {name}", flush=True)
        command = [sys.executable, "-c", f"from tests.bench.run import BENCHES; BENCHES[{name!r}]()"]
        if name in ("screen", "look"):
            os.environ["OMP_NUM_THREADS"] = "1"
            command = ["taskset", "-c", "0", *command]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
