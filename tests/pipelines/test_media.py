"""Decoded pictures, reduced on request: exact halves, and luma on which a coloured cursor stands out."""

import av
import numpy as np
import pytest

from pipelines.media import DecodedPicture


def decoded(rgb: np.ndarray, *, fmt: str = "yuv420p", rotation_deg: int = 0) -> DecodedPicture:
    picture = DecodedPicture(av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=fmt), 1.5)
    picture.rotation_deg = rotation_deg
    return picture


def grey(height: int, width: int, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("width", "max_width", "expected"),
    [(640, 640, 640), (640, 639, 320), (1280, 320, 320), (642, 200, 160), (100, 640, 100)],
)
def test_luma_is_halved_until_it_is_narrow_enough(width: int, max_width: int, expected: int) -> None:
    assert decoded(grey(96, width)).halved_luma(max_width).shape[1] == expected


def test_a_half_is_the_mean_of_two_by_two_pixels() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (32, 64, 1), dtype=np.uint8).repeat(3, 2)
    whole, half = decoded(rgb).halved_luma(64).astype(float), decoded(rgb).halved_luma(32)
    assert half.shape == (16, 32)
    means = whole.reshape(16, 2, 32, 2).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 0.5


def test_halves_are_upright() -> None:
    rgb = grey(48, 64, 20)
    rgb[:24] = 200
    turned = decoded(rgb, rotation_deg=90).halved_luma(32)
    assert turned.shape == (32, 24)
    assert abs(float(turned[:, :8].mean()) - float(turned[:, -8:].mean())) > 100
    assert decoded(rgb, rotation_deg=90).pointer_luma(32).shape == (32, 24)


def with_dot(colour: tuple[int, int, int]) -> np.ndarray:
    rgb = grey(96, 160)
    rgb[40:56, 60:76] = colour
    return rgb


@pytest.mark.parametrize("max_width", [160, 80, 40])
@pytest.mark.parametrize("colour", [(255, 84, 84), (40, 170, 100)])
def test_a_coloured_dot_as_bright_as_the_picture_stands_out(colour: tuple[int, int, int], max_width: int) -> None:
    picture = decoded(with_dot(colour))
    luma, pointer = (f(max_width).astype(int) for f in (picture.halved_luma, picture.pointer_luma))
    assert luma.shape == pointer.shape
    scale = max_width / 160
    inside = slice(int(44 * scale), int(52 * scale)), slice(int(64 * scale), int(72 * scale))
    assert abs(luma[inside].mean() - luma[0, 0]) < 12
    assert abs(pointer[inside].mean() - pointer[0, 0]) > 25


@pytest.mark.parametrize("fmt", ["yuv420p", "yuvj420p", "yuv444p", "gray"])
def test_on_grey_pictures_it_is_the_luma(fmt: str) -> None:
    picture = decoded(with_dot((250, 250, 250)), fmt=fmt)
    assert np.abs(picture.pointer_luma(80).astype(int) - picture.halved_luma(80)).max() <= 2


@pytest.mark.parametrize("fmt", ["yuv420p", "yuv444p"])
def test_it_is_a_copy_of_its_own(fmt: str) -> None:
    picture = decoded(with_dot((250, 250, 250)), fmt=fmt)
    before = picture.halved_luma(160).copy()
    picture.pointer_luma(160)[:] = 0
    np.testing.assert_array_equal(picture.halved_luma(160), before)
