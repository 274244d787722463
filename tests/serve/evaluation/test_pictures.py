import base64
import io

import numpy as np
import PIL.Image
import pytest

from serve.evaluation.answer import Fault, Reason
from serve.evaluation.config import Film, Settings
from serve.evaluation.pictures import parts
from serve.evaluation.question import Media, Medium, file_media
from tests.media import write_video


def encoded(form, size=(40, 20), mode="RGB"):
    buffer = io.BytesIO()
    PIL.Image.new(mode, size, 90).save(buffer, form)
    return buffer.getvalue()


def media(data, medium=Medium.IMAGE):
    return Media(media_id="x", medium=medium, read=lambda: data)


def sent(part):
    head, _, body = part[part["type"]]["url"].partition(";base64,")
    return head, base64.b64decode(body)


@pytest.mark.parametrize(("form", "mime"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp")])
def test_pictures_that_servers_know_are_sent_as_they_are(form, mime):
    data = encoded(form)
    (part,) = parts(media(data), Settings())
    assert part["type"] == "image_url"
    assert sent(part) == (f"data:{mime}", data)


@pytest.mark.parametrize(("form", "mode"), [("TIFF", "RGB"), ("BMP", "L"), ("PPM", "RGB")])
def test_others_become_png(form, mode):
    (part,) = parts(media(encoded(form, mode=mode)), Settings())
    head, data = sent(part)
    assert head == "data:image/png"
    assert PIL.Image.open(io.BytesIO(data)).size == (40, 20)


def test_a_longest_edge_is_kept():
    (part,) = parts(media(encoded("JPEG")), Settings(max_edge_px=10))
    assert PIL.Image.open(io.BytesIO(sent(part)[1])).size == (10, 5)


@pytest.mark.parametrize("data", [b"", b"no picture", encoded("JPEG")[:200], encoded("PNG")[:60]])
def test_what_is_no_picture_is_a_fault(data):
    with pytest.raises(Fault) as caught:
        parts(media(data), Settings())
    assert caught.value.reason is Reason.MEDIA_UNREADABLE


def test_what_is_missing_or_too_large_is_a_fault(tmp_path):
    for path in (None, tmp_path / "none.png"):
        with pytest.raises(Fault) as caught:
            parts(file_media(path, Medium.IMAGE, "none.png"), Settings())
        assert caught.value.reason is Reason.MEDIA_MISSING
        assert "none.png" in caught.value.detail
    with pytest.raises(Fault) as caught:
        parts(media(b"x" * 2000), Settings(max_media_mb=0.001))
    assert caught.value.reason is Reason.MEDIA_TOO_LARGE


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("film") / "a.mp4", seconds=8.0, audio=False).read_bytes()


def test_a_film_is_sent_whole(film):
    (part,) = parts(media(film, Medium.VIDEO), Settings())
    assert part["type"] == "video_url"
    assert sent(part) == ("data:video/mp4", film)


def seconds_of(frames):
    """The film's left half shows its second times ten."""
    return [round(float(np.asarray(PIL.Image.open(io.BytesIO(sent(f)[1])))[:, :20].mean()) / 10) for f in frames]


def test_a_film_is_sent_as_frames_of_its_own_seconds(film):
    frames = parts(media(film, Medium.VIDEO), Settings(video=Film.FRAMES))
    assert seconds_of(frames) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert all(f["type"] == "image_url" for f in frames)


def test_a_longer_film_is_sampled_evenly(film):
    assert seconds_of(parts(media(film, Medium.VIDEO), Settings(video=Film.FRAMES, max_frames=4))) == [0, 2, 4, 6]
    small = parts(media(film, Medium.VIDEO), Settings(video=Film.FRAMES, max_frames=1, max_edge_px=80))
    assert PIL.Image.open(io.BytesIO(sent(small[0])[1])).size == (80, 60)


@pytest.mark.parametrize("data", [b"no film", b"\x00" * 300])
def test_what_is_no_film_is_a_fault(data):
    with pytest.raises(Fault) as caught:
        parts(media(data, Medium.VIDEO), Settings(video=Film.FRAMES))
    assert caught.value.reason is Reason.MEDIA_UNREADABLE


def made(path, **how):
    return write_video(path, **{"seconds": 12.0, "audio": False} | how).read_bytes()


@pytest.mark.parametrize(
    ("ending", "how"),
    [("mp4", {"options": {"movflags": "+faststart"}}), ("mp4", {"options": {"movflags": "+faststart"}, "audio": True}),
     ("mkv", {}), ("mkv", {"audio": True})],
)  # fmt: skip
def test_a_film_that_breaks_off_is_a_fault_and_not_a_shorter_film(tmp_path, ending, how):
    whole = made(tmp_path / f"a.{ending}", **how)
    for settings in (Settings(video=Film.FRAMES), Settings(video=Film.FRAMES, max_frames=3)):
        assert parts(media(whole, Medium.VIDEO), settings)
        with pytest.raises(Fault, match=r"breaks off after \d+\.\d s") as caught:
            parts(media(whole[: len(whole) * 6 // 10], Medium.VIDEO), settings)
        assert caught.value.reason is Reason.MEDIA_UNREADABLE


def test_a_film_whose_later_pictures_cannot_be_decoded_breaks_off(tmp_path):
    whole = made(tmp_path / "a.mp4", options={"movflags": "+faststart"}, audio=True)
    kept = len(whole) // 2
    with pytest.raises(Fault, match="breaks off"):
        parts(media(whole[:kept] + bytes(len(whole) - kept), Medium.VIDEO), Settings(video=Film.FRAMES))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
def test_a_film_that_holds_its_last_picture_is_whole(tmp_path, ending):
    held = made(tmp_path / f"a.{ending}", times_s=[0.0, 1.0, 2.0, 3.0], audio=True)
    assert seconds_of(parts(media(held, Medium.VIDEO), Settings(video=Film.FRAMES))) == [0, 1, 2, 3]
    slow = made(tmp_path / f"b.{ending}", times_s=[0.0, 5.0, 10.0])
    assert seconds_of(parts(media(slow, Medium.VIDEO), Settings(video=Film.FRAMES))) == [0, 5, 10]
