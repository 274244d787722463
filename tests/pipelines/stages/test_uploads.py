"""Uploaded pictures and films: what is whole becomes plain pictures, everything else is refused by name."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import RowError
from pipelines.schema import Probe, Reason
from pipelines.stages.uploads import Film, UploadLimits, film, picture
from tests.media import write_video

LIMITS = UploadLimits(image_pixels=1_000_000, min_side_px=28, max_aspect=20, video_seconds=30, video_pixels=100_000,
                      video_fps=1, frames=8, frame_pixels=10_000)  # fmt: skip


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(width: int = 80, height: int = 60, mode: str = "RGB") -> Image.Image:
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "JPEG", "GIF"])
def test_pictures_keep_their_pixels(kind: str) -> None:
    data = encoded(noise(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert np.array_equal(pixels(picture(data, LIMITS)), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_metadata_goes_orientation_is_applied_and_transparency_is_white() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "patient name"
    png = picture(encoded(noise(80, 60), "JPEG", exif=exif), LIMITS)
    assert b"patient" not in png
    assert pixels(png).shape == (80, 60, 3)
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert (pixels(picture(encoded(clear), LIMITS)) == 255).all()


def test_a_frame_is_reduced_and_a_picture_is_not() -> None:
    data = encoded(noise(400, 300))
    assert pixels(picture(data, LIMITS)).shape == (300, 400, 3)
    height, width, _ = pixels(picture(data, LIMITS, reduce_to=10_000)).shape
    assert height * width <= 10_000
    assert abs(width / height - 4 / 3) < 0.05


def bomb(side: int = 50_000) -> bytes:
    """A PNG of `side` x `side` pixels in a few bytes."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no whole"),
        (b"hello", "no whole"),
        (encoded(noise())[:2000], "no whole"),
        (bomb(), "50000 x 50000"),
        (encoded(Image.new("RGB", (1, 1))), "1 x 1"),
        (encoded(Image.new("RGB", (1000, 30))), "times as long"),
        (encoded(Image.new("I;16", (40, 40))), "8 bits"),
        (encoded(noise(), "GIF", save_all=True, append_images=[noise(80, 60).rotate(90)]), "animated"),
        (encoded(noise(), "TIFF"), "no whole"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", "no whole"),
    ],
)  # fmt: skip
def test_bad_pictures_are_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(RowError, match=words) as refused:
        picture(data, LIMITS)
    assert refused.value.reason is Reason.UNREADABLE


def sampled(path: Path, limits: UploadLimits = LIMITS) -> tuple[Probe, list[int], Film]:
    """The probe, the left half's level of each frame (its second times ten), the film."""
    first, second = film(str(path), limits)
    assert isinstance(first, Probe)
    assert isinstance(second, Film)
    levels = [int(np.asarray(Image.open(io.BytesIO(f)))[20:-20, 10:40].mean().round()) for f in second.frames]
    return first, levels, second


def test_one_frame_a_second_at_its_own_time(tmp_path: Path) -> None:
    _, levels, film_ = sampled(write_video(tmp_path / "a.mp4", seconds=6))
    assert film_.interval_s == 1.0
    assert [round(level / 10) for level in levels] == [0, 1, 2, 3, 4, 5]


def test_a_long_film_gives_no_more_frames_than_allowed_evenly(tmp_path: Path) -> None:
    _, levels, film_ = sampled(write_video(tmp_path / "a.mp4", seconds=24, fps=5))
    assert film_.interval_s == pytest.approx(3.0, abs=0.05)
    assert [round(level / 10) for level in levels] == [0, 3, 6, 9, 12, 15, 18, 21]


def test_a_held_last_frame_and_longer_sound_are_no_truncation(tmp_path: Path) -> None:
    _, levels, film_ = sampled(write_video(tmp_path / "a.mkv", times_s=[0, 1, 2, 3], seconds=10))
    assert film_.interval_s == pytest.approx(1.25, abs=0.01)
    assert [round(level / 10) for level in levels] == [0, 1, 2, 3, 3, 3, 3, 3]  # what is shown then, not what comes next


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("fast_start", [True, False])
def test_truncated_films_are_refused(tmp_path: Path, share: float, fast_start: bool) -> None:
    options = {"movflags": "faststart"} if fast_start else {}
    whole = write_video(tmp_path / "a.mp4", seconds=20, options=options).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RowError) as refused:
        list(film(str(tmp_path / "cut.mp4"), LIMITS))
    assert refused.value.reason in (Reason.UNREADABLE, Reason.NO_VIDEO)


def test_a_codec_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", seconds=3)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"none"))
    with pytest.raises(RowError, match="its video is of a codec"):
        list(film(str(path), LIMITS))


def test_films_beyond_a_limit_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    for name, words, made in (
        ("long", "lasts 4. s", {"seconds": 40}),
        ("large", "640 x 480", {"seconds": 1, "size": (640, 480)}),
        ("tiny", "2 x 2", {"seconds": 1, "size": (2, 2)}),
    ):
        with pytest.raises(RowError, match=words):
            list(film(str(write_video(tmp_path / f"{name}.mp4", **made)), LIMITS))
    with pytest.raises(RowError) as refused:
        list(film(str(write_video(tmp_path / "sound.mp4", seconds=2, video=False)), LIMITS))
    assert refused.value.reason is Reason.NO_VIDEO


def test_a_playlist_is_no_film(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mp4", seconds=2)
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    answers = film(str(tmp_path / "a.mp4"), LIMITS)
    with pytest.raises(RowError) as refused:
        next(answers)
    assert refused.value.reason is Reason.UNREADABLE
