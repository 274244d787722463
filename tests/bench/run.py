"""`make bench`: what the pipeline costs beside the libraries it stands on, medians of several, in one run.

    python -m tests.bench.run [screen] [look] [listen] [rewrite] [whole] [memory]

File: a rendered MRI lecture, H.264 1080p 30 fps, x264 defaults (medium, CRF 23, key frames by the encoder), AAC, its
packets repeated to 10 minutes; kept in build/bench. Everything runs on one core with one thread unless said.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from imageio_ffmpeg import get_ffmpeg_exe

from tests.lectures import render
from tests.lectures.script import HISTOPATHOLOGY, MRI, MRI_PLANES, OPHTHALMOLOGY

FOLDER = Path("build/bench")
MINUTES = float(os.environ.get("PRECEPTOR_BENCH_MINUTES", "10"))
REPEATS = 3


def lecture() -> Path:
    """The ten-minute film, rendered once."""
    return film(FOLDER / f"lecture_1080p30_{MINUTES:g}min.mp4", MINUTES, size=(1920, 1080), fps=30, preset="medium")


def film(path: Path, minutes: float, *, silent_turns: int = 0, **settings: Any) -> Path:
    """The MRI lecture, rendered once and its packets repeated to `minutes`; what is there is kept.

    With `silent_turns`, the speaker is silent for so many turns after each that is spoken.
    """
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        once, part = path.with_suffix(".once.mp4"), path.with_suffix(".part.mp4")
        render.render(MRI, once, **settings)
        if silent_turns:
            spoken, once = once, path.with_suffix(".turns.mp4")
            hush = f"volume=0:enable='gt(t,{json.loads(spoken.with_suffix('.truth.json').read_text())['duration_s']})'"
            ffmpeg("-stream_loop", str(silent_turns), "-i", str(spoken), "-c:v", "copy", "-af", hush, str(once))
        ffmpeg("-stream_loop", "-1", "-i", str(once), "-c", "copy", "-t", str(60 * minutes), str(part))
        part.replace(path)
    return path


def ffmpeg(*arguments: str) -> None:
    """Run it; it speaks only of errors."""
    subprocess.run([get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments], check=True)


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
        uri=str(path), video_id="bench", out=str(FOLDER / "look"), static=True, settings=config.look, until_s=0.0
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


def bench_rewrite() -> None:
    """Texts of 16 clips as the write stage asks for them, against bare vLLM with the same prompts; the loading apart."""
    ours, bare = rewriting("rewrite_ours"), rewriting("rewrite_bare")
    print(f"{'bare vLLM, all prompts at once':46} {bare:8.2f} s")
    print(f"{'rewriting, rows at a time as in a run':46} {ours:8.2f} s  {bare / ours:.0%} of bare vLLM; bar: 85 %")


def rewriting(which: str) -> float:
    """Median seconds, taken in a process of its own."""
    command = [sys.executable, "-c", f"from tests.bench import run; run.{which}()"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.strip().splitlines()[-1])


def rewrite_ours() -> None:
    """The write stage's rewriter; leaves its prompts for `rewrite_bare`."""
    from concurrent.futures import ThreadPoolExecutor

    from actors.rewriter import Rewriter
    from pipelines import recipes
    from pipelines.schema import Clip, Domain

    config = recipes.starter()
    words = [s.text for lecture in (MRI, HISTOPATHOLOGY, OPHTHALMOLOGY, MRI_PLANES) for scene in lecture.scenes
             for s in scene.sentences]  # fmt: skip
    texts = [" ".join(words[i % len(words)] for i in range(3 * n, 3 * n + 12)) for n in range(16)]
    made_up: dict[str, Any] = {"domain": Domain.MRI, "start_s": 0.0, "end_s": 60.0, "segmenter": "bench"}
    clips = [Clip(clip_id=str(n), raw_text=text, **made_up) for n, text in enumerate(texts)]
    rewriter = Rewriter(config.text, threads=1, gpu_memory_share=0.5, admission_folder=None)
    engine: Any = rewriter._engine
    asked = []
    generate = engine.generate
    engine.generate = lambda requests: asked.extend(requests) or generate(requests)
    rewriter(clips[:1])
    asked.clear()
    rows = config.resources.write.concurrent_rows
    with ThreadPoolExecutor(rows) as threads:
        seconds = median_s(lambda: list(threads.map(lambda clip: rewriter([clip]), clips)))
    prompts = [{"ids": engine.token_ids(r), "max_tokens": r.max_tokens, "schema": r.schema()} for r in asked]
    (FOLDER / "prompts.json").write_text(json.dumps(prompts[: len(asked) // REPEATS]))
    print(seconds, flush=True)
    os._exit(0)


def rewrite_bare() -> None:
    """vLLM's own `LLM.generate` over the same prompts in one call."""
    from actors.starter_models import starter_text_model
    from actors.vllm_engine import _prepare_environment
    from pipelines import recipes

    _prepare_environment(1, local=True)
    import torch
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    torch.set_num_threads(1)
    settings = recipes.starter().text
    llm = LLM(model=str(starter_text_model()), dtype=settings.dtype, max_model_len=settings.max_model_len,
              enforce_eager=True, enable_prefix_caching=False, generation_config="vllm", seed=0)  # fmt: skip
    prompts = json.loads((FOLDER / "prompts.json").read_text())
    ids = [{"prompt_token_ids": p["ids"]} for p in prompts]
    params = [SamplingParams(temperature=0.0, seed=0, max_tokens=p["max_tokens"], structured_outputs=StructuredOutputsParams(
              json=p["schema"], disable_any_whitespace=True)) for p in prompts]  # fmt: skip
    llm.generate(ids[:3], params[:3], use_tqdm=False)
    print(median_s(lambda: llm.generate(ids, params, use_tqdm=False)), flush=True)
    os._exit(0)


def bench_whole() -> None:
    """A whole run against the sum of its stages, each alone in a process that has loaded its model, two threads."""
    from pipelines.dataset import rows

    out = FOLDER / "whole"
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cluster.cli", "curate", str(lecture()), "--out", str(out)], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    whole_s = time.perf_counter() - started
    facts = json.loads((out / "run.json").read_text())
    (video,) = rows(str(out))
    in_run = {spent.stage: spent.seconds for spent in video.stage_times}
    done = subprocess.run([sys.executable, "-c", "from tests.bench import run; run.stages_alone()"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    alone: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    for stage, seconds in alone.items():
        row(f"{stage} alone", seconds, f"in the run {in_run[stage]:.1f} s")
    total, streamed = sum(alone.values()), facts["seconds"] - facts["startup_s"]
    row("sum of the stages alone", total)
    row("the run after its start-up", streamed, f"{streamed / total:.2f} of the sum; bar: 1.25")
    print(f"start-up {facts['startup_s']:.1f} s; the command with everything {whole_s:.1f} s", flush=True)


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
    """Peak memory of every process: two hours against ten minutes of the same film, spoken for one turn in six."""
    short, long = (
        film(FOLDER / f"lecture_360p5_{minutes}min.mp4", minutes, silent_turns=5, size=(640, 360), fps=5)
        for minutes in (10, 119)
    )
    peaks = {}
    for path in (short, long):
        out = FOLDER / f"memory_{path.stem}"
        shutil.rmtree(out, ignore_errors=True)
        peaks[path] = peak_memory(["curate", str(path), "--out", str(out)])
    for kind in sorted(peaks[short].keys() & peaks[long].keys()):
        a, b = peaks[short][kind], peaks[long][kind]
        print(f"{kind:28} {a / 2**20:8.0f} MiB for 10 min {b / 2**20:8.0f} MiB for 2 h {b / a - 1:+7.1%}", flush=True)


BENCHES = {"screen": bench_screen, "look": bench_look, "listen": bench_listen, "rewrite": bench_rewrite,
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
