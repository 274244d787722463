from pathlib import Path

import numpy as np
import pytest

from pipelines import recipes
from pipelines.config import Config
from pipelines.errors import RowError
from pipelines.media import from_jpeg
from pipelines.schema import Probe, Reason
from pipelines.settings import with_settings
from pipelines.stages.screen import Screened, Seen, screen, thin, to_classify
from tests.media import write_video


@pytest.fixture
def config() -> Config:
    return with_settings(recipes.starter(), ["probe.min_duration_s=5"])


def screened(path: Path, config: Config) -> Screened:
    first, last = screen(str(path), config)
    assert isinstance(first, Probe)
    assert isinstance(last, Screened)
    return last


def reason(path: Path, config: Config) -> Reason:
    with pytest.raises(RowError) as error:
        list(screen(str(path), config))
    return error.value.reason


def test_key_frames_carry_their_own_times(tmp_path: Path, config: Config) -> None:
    found = screened(write_video(tmp_path / "a.mp4", seconds=20, key_frame_every_s=2), config)
    assert [f.time_s for f in found.frames] == pytest.approx([0, 6, 12, 18], abs=0.11)
    assert [f.until_s for f in found.frames] == [*(f.time_s for f in found.frames[1:]), found.probe.duration_s]
    for frame in found.frames:
        assert np.abs(from_jpeg(frame.jpeg)[:, 5:60].mean() - int(frame.time_s) * 10) < 6
    assert found.probe.duration_s == pytest.approx(20, abs=0.2)
    assert not found.probe.truncated
    assert found.probe.variable_frame_rate is False


def test_a_container_with_one_key_frame_is_filled(tmp_path: Path, config: Config) -> None:
    found = screened(write_video(tmp_path / "a.mp4", seconds=24, key_frame_every_s=100), config)
    times = [f.time_s for f in found.frames]
    assert len(times) >= 4
    assert max(b - a for a, b in zip(times, times[1:], strict=False)) < 8
    assert [round(from_jpeg(f.jpeg)[:, 5:60].mean() / 10) for f in found.frames] == [int(t + 0.01) for t in times]


def test_variable_frame_rate_keeps_presentation_times(tmp_path: Path, config: Config) -> None:
    times = [0.0, 0.5, 1.0, 1.1, 1.2, 4.0, 7.5, 7.6, 9.0, 12.0, 14.0, 14.1]
    path = write_video(tmp_path / "a.mp4", times_s=times, seconds=14.2, key_frame_every_s=0.1)
    found = screened(path, config)
    assert found.probe.variable_frame_rate is True
    assert all(min(abs(t - x) for x in times) < 0.002 for t in (f.time_s for f in found.frames))


def test_audio_that_starts_late_keeps_the_videos_clock(tmp_path: Path, config: Config) -> None:
    late = screened(write_video(tmp_path / "a.mp4", seconds=10, audio_start_s=4.0), config)
    assert late.audio_s == pytest.approx(14.0, abs=0.3)


def test_what_is_said_over_the_last_picture_belongs_to_the_video(tmp_path: Path, config: Config) -> None:
    path = write_video(tmp_path / "a.mkv", times_s=[0.0, 1.0, 2.0, 6.0], seconds=20, key_frame_every_s=0.1)
    found = screened(path, config)
    assert found.probe.duration_s == pytest.approx(20, abs=0.2)
    assert not found.probe.truncated


def test_a_file_cut_off_is_marked_and_used(tmp_path: Path, config: Config) -> None:
    whole = write_video(tmp_path / "a.mkv", seconds=40)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = screened(cut, config)
    assert found.probe.truncated
    assert 10 < found.probe.duration_s < 30
    assert reason(cut, with_settings(config, ["probe.min_duration_s=35"])) is Reason.TOO_SHORT


def test_rejections(tmp_path: Path, config: Config) -> None:
    assert reason(write_video(tmp_path / "a.mp4", seconds=3), config) is Reason.TOO_SHORT
    assert reason(write_video(tmp_path / "b.mp4", audio=False), config) is Reason.NO_AUDIO
    assert reason(write_video(tmp_path / "c.mp4", video=False), config) is Reason.NO_VIDEO
    assert reason(write_video(tmp_path / "d.mp4"), with_settings(config, ["probe.max_duration_s=6"])) is Reason.TOO_LONG


def test_faults(tmp_path: Path, config: Config) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film")
    assert reason(tmp_path / "empty.mp4", config) is Reason.UNREADABLE
    assert reason(tmp_path / "text.mp4", config) is Reason.UNREADABLE
    assert reason(tmp_path / "none.mp4", config) is Reason.MISSING


def test_a_playlist_cannot_reach_other_files(tmp_path: Path, config: Config) -> None:
    write_video(tmp_path / "secret.mp4")
    # FFmpeg itself would follow both: it refuses no relative name, and no list that is named like one
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:12\n#EXTINF:12,\nsecret.mp4\n#EXT-X-ENDLIST\n"
    for name, words in (("list.mp4", "ffconcat version 1.0\nfile secret.mp4\n"), ("list.m3u8", hls)):
        (tmp_path / name).write_text(words)
        with pytest.raises(RowError) as error:
            next(screen(str(tmp_path / name), config))
        assert error.value.reason is Reason.UNREADABLE, name


def test_thinning_is_even_and_keeps_the_ends() -> None:
    assert thin(range(1000), 10) == [0, 111, 222, 333, 444, 555, 666, 777, 888, 999]
    assert thin(range(5), 10) == [0, 1, 2, 3, 4]


def test_frames_that_are_not_classified_still_tell_how_long_a_picture_rested(config: Config) -> None:
    still, moving = np.eye(2)
    seen = [Seen(time_s=5.0 * i, jpeg=b"%d" % i, thumbnail=still if i < 4 else moving * (-1) ** i) for i in range(9)]
    found = to_classify(seen[::-1], 42.0, with_settings(config, ["screen.max_classified=3"]))
    assert [(f.time_s, f.until_s, f.rested_s, f.jpeg) for f in found] == [
        (0.0, 20.0, 10.0, b"0"), (20.0, 40.0, 0.0, b"4"), (40.0, 42.0, 0.0, b"8"),
    ]  # fmt: skip
