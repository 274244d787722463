import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from actors.decoder import Decoder
from actors.requests import AudioRequest, AudioWindow, LookRequest, PicturesRequest, Probed, Screened, ScreenRequest, Seen
from pipelines import recipes
from pipelines.config import Config
from pipelines.errors import EnvironmentFault, RowError
from pipelines.resources import Resources
from pipelines.schema import Reason, Span
from pipelines.settings import with_settings
from pipelines.stages.uploads import UploadLimits
from tests.media import write_video
from tests.pipelines.stages.test_uploads import bomb, encoded, noise


@pytest.fixture
def config() -> Config:
    config = with_settings(recipes.starter(), ["probe.min_duration_s=5"])
    config = with_settings(config, ["resources.deadline_per_video_s=0.1"])
    return with_settings(config, ["resources.deadline_base_s=20"])


@pytest.fixture
def decoder(config: Config) -> Iterator[Decoder]:
    decoder = Decoder(config.resources)
    yield decoder
    decoder.close()


def children() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "actors.decoder_child" in " ".join(p.cmdline())]


def screen(decoder: Decoder, path: Path, config: Config) -> list[object]:
    return list(decoder.ask(ScreenRequest(uri=str(path), config=config)))


def test_pictures_that_cannot_be_written_are_no_videos_fault(decoder: Decoder, config: Config, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    (tmp_path / "out").write_text("a file where the folder should be")
    request = LookRequest(uri=str(path), video_id="a", out=str(tmp_path / "out"), static=True, settings=config.look,
                          until_s=12.0)  # fmt: skip
    with pytest.raises(EnvironmentFault, match="Pictures cannot be written"):
        list(decoder.ask(request, 12.0))
    assert len(screen(decoder, path, config)) == 2


def test_the_child_knows_no_secrets(
    decoder: Decoder, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRECEPTOR_TEXT_API_KEY", "sk-1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "t")
    screen(decoder, write_video(tmp_path / "a.mp4"), config)
    (child,) = children()
    assert child.environ().keys().isdisjoint({"PRECEPTOR_TEXT_API_KEY", "RAY_AUTH_TOKEN"})


def test_one_child_answers_many_requests(decoder: Decoder, config: Config, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    first = screen(decoder, path, config)
    assert [type(m) for m in first] == [Probed, Screened]
    (child,) = children()
    assert screen(decoder, path, config) == first
    with pytest.raises(RowError, match="missing"):
        screen(decoder, tmp_path / "none.mp4", config)
    assert children() == [child]


def test_a_crash_names_the_signal_and_the_next_request_works(decoder: Decoder, config: Config, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    screen(decoder, write_video(tmp_path / "a.mp4"), config)
    (child,) = children()
    threading.Timer(0.5, lambda: child.send_signal(signal.SIGSEGV)).start()
    with pytest.raises(RowError) as error:
        screen(decoder, pipe, config)
    assert error.value.reason is Reason.DECODER_CRASHED
    assert error.value.detail == "signal 11 (SIGSEGV)"
    assert len(screen(decoder, tmp_path / "a.mp4", config)) == 2


def test_a_hang_ends_at_the_deadline(config: Config, tmp_path: Path) -> None:
    decoder = Decoder(with_settings(config, ["resources.deadline_base_s=3"]).resources)
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with pytest.raises(RowError) as error:
        screen(decoder, pipe, config)
    assert error.value.reason is Reason.DEADLINE
    assert children() == []
    decoder.close()


def test_a_picture_beyond_the_memory_limit_fails_alone() -> None:
    limits = UploadLimits(image_pixels=10**10, min_side_px=28, max_aspect=20, video_seconds=30, video_pixels=100_000,
                          video_fps=1, frames=8, frame_pixels=10_000)  # fmt: skip

    def plain(*pictures: bytes) -> list[object]:
        return list(decoder.ask(PicturesRequest(pictures=pictures, limits=limits, as_frames=False)))

    decoder = Decoder(Resources(decoder_memory_gib=0.5))
    try:
        assert [type(m) for m in plain(encoded(noise()))] == [Seen]
        (child,) = children()
        with pytest.raises(RowError) as error:
            plain(bomb(14_000))  # 0.7 GiB, were it decoded
        assert error.value.reason is Reason.OUT_OF_MEMORY
        assert [type(m) for m in plain(encoded(noise()))] == [Seen]
        assert children() == [child]
    finally:
        decoder.close()


def test_audio_windows_are_cut_to_the_sample(decoder: Decoder, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    spans = (Span(start_s=1.0, end_s=2.5), Span(start_s=4.0, end_s=4.25), Span(start_s=11.5, end_s=99.0))
    heard = [m for m in decoder.ask(AudioRequest(uri=str(path), windows=spans)) if isinstance(m, AudioWindow)]
    assert [m.start_s for m in heard] == [1.0, 4.0, 11.5]
    assert [len(m.pcm) / 32000 for m in heard] == [1.5, 0.25, pytest.approx(0.5, abs=0.1)]


def test_a_listener_that_leaves_early_does_not_confuse_the_next(decoder: Decoder, config: Config, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    for _ in decoder.ask(ScreenRequest(uri=str(path), config=config)):
        break
    assert [type(m) for m in screen(decoder, path, config)] == [Probed, Screened]


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    code = f"""
from actors.decoder import Decoder
from actors.requests import ScreenRequest
from pipelines.recipes import starter
d = Decoder(starter().resources)
list(d.ask(ScreenRequest(uri={str(path)!r}, config=starter()))) if False else None
d._ready(); print(d._child.pid, flush=True)
list(d.ask(ScreenRequest(uri={str(pipe)!r}, config=starter())))
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1.5)  # the child is now blocked inside the open of a pipe that nobody writes
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert alive == []
