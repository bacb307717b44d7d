from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt.video.media_frames import Look, frame_of, image_of, rotation_of
from tests.video.clips import picture

pytest.importorskip("av")

HOLE = np.zeros((63, 97), np.uint8)
HOLE[21:40, 31:60] = 1


def planes(frame: Any) -> list[np.ndarray]:
    wide = 2 if "le" in frame.format.name else 1
    kind = np.dtype("<u2") if wide == 2 else np.dtype(np.uint8)
    return [np.frombuffer(p, kind).reshape(-1, p.line_size // wide)[: p.height, : p.width] for p in frame.planes]


@pytest.mark.parametrize("space", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("kind", ["yuv420p", "yuvj420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("scale", [0, 1, 2])
def test_colours_survive_the_way_there_and_back(space: int, kind: str, scale: int) -> None:
    image = picture(0, (97, 63))
    look = Look(kind, space, scale)
    back, _ = image_of(frame_of(image, look), look)
    assert np.abs(back.astype(int) - image).mean() < 2  # chroma of half the size
    assert abs(float(back.mean()) - float(image.mean())) < 0.6  # no shift of black or of a colour


def test_spaces_and_ranges_are_told_apart() -> None:
    red = np.full((16, 16, 3), (0, 0, 255), np.uint8)
    luma = {
        (space, scale): int(planes(frame_of(red, Look("yuv420p", space, scale)))[0][0, 0])
        for space in (1, 6)
        for scale in (1, 2)
    }
    assert luma[1, 1] == pytest.approx(16 + 219 * 0.2126, abs=2)
    assert luma[1, 2] == pytest.approx(255 * 0.2126, abs=2)
    assert luma[6, 1] == pytest.approx(16 + 219 * 0.299, abs=2)


@pytest.mark.parametrize("kind", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuvj420p"])
def test_outside_the_hole_every_number_stays(kind: str, rng: np.random.Generator) -> None:
    look = Look(kind, 1, 2 if "j" in kind else 1)
    original = frame_of(picture(0, (97, 63)), look)
    for plane in planes(original):
        plane.setflags(write=True)
        plane[...] = rng.integers(20, 900 if "10" in kind else 235, plane.shape)
    image, _ = image_of(original, look)
    filled = image.copy()
    filled[HOLE > 0] = 128
    made = frame_of(filled, look, original=original, hole=HOLE)
    for now, before in zip(planes(made), planes(original), strict=True):
        down, across = -(-63 // now.shape[0]), -(-97 // now.shape[1])
        padded = np.pad(HOLE, ((0, down * now.shape[0] - 63), (0, across * now.shape[1] - 97)))
        inside = padded.reshape(now.shape[0], down, now.shape[1], across).max((1, 3)) > 0
        np.testing.assert_array_equal(now[~inside], before[~inside])
        core = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # the edge mixes with what is around
        assert np.ptp(now[core].astype(int)) <= (8 if "10" in kind else 2)  # nothing of the object is left


def test_a_frame_of_another_size_is_scaled() -> None:
    look = Look("yuv420p", 1, 1)
    image, frame = image_of(frame_of(picture(0, (97, 63)), look), look, (48, 32))
    assert image.shape == (32, 48, 3)
    assert (frame.width, frame.height) == (48, 32)


@pytest.mark.parametrize(("matrix", "quarters"), [((0, 1), 3), ((0, -1), 1), ((-1, 0), 2), ((1, 0), 0)])
def test_rotation(matrix: tuple[int, int], quarters: int) -> None:
    class Frame:
        side_data = {"DISPLAYMATRIX": np.array([v << 16 for v in matrix] + [0] * 7, "<i4").tobytes()}  # noqa: RUF012

    assert rotation_of(Frame()) == quarters
