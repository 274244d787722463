"""A read that fails is no end of file, whatever FFmpeg takes it for."""

import errno
import io
import os
from pathlib import Path

import pytest

from pipelines.errors import RowError
from pipelines.media import decode_quietly, open_media, packets
from pipelines.media_file import local_file
from pipelines.schema import Reason
from tests.media import write_video


def frames(path: Path) -> int:
    with open_media(str(path)) as container:
        return sum(len(decode_quietly(p)) for p in packets(container, container.streams.video[0]))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_disk_that_fails_is_no_end_of_file(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", seconds=30)
    assert frames(path) == 300

    class Fails(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() > path.stat().st_size // 2:
                raise OSError(number, os.strerror(number))
            return super().read(size)

    monkeypatch.setattr("pipelines.media_file.open", lambda path, *a, **k: Fails(path), raising=False)
    with pytest.raises(RowError) as failed:
        frames(path)
    assert failed.value.reason is Reason.UNREACHABLE
    assert os.strerror(number) in failed.value.detail


def test_a_place_that_no_disk_has_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"0123456789")
    with local_file(str(tmp_path / "a.mp4")) as file:
        assert file.seek((1 << 63) - 1) == -1
        assert (file.seek(-2, os.SEEK_END), file.read(9)) == (8, b"89")


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EACCES, Reason.UNREADABLE), (errno.ENOENT, Reason.MISSING), (errno.ESTALE, Reason.UNREACHABLE)],
)
def test_a_file_that_does_not_open(
    tmp_path: Path, number: int, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *rest: object, **named: object) -> None:
        raise OSError(number, os.strerror(number), path)

    path = write_video(tmp_path / "404.mp4", seconds=1)
    monkeypatch.setattr("pipelines.media_file.open", refuse, raising=False)
    with pytest.raises(RowError) as failed:
        frames(path)
    assert failed.value.reason is reason
    assert str(tmp_path) not in failed.value.detail
