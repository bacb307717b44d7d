"""The hole is grown beyond the mask, and what is known beyond it stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import InputError
from iic_rt.masks import AUTO_MOST, grow_hole, read_masks


def disc(side: int, radius: int) -> np.ndarray:
    hole = np.zeros((side, side), np.uint8)
    cv2.circle(hole, (side // 2, side // 2), radius, 1, -1)
    return hole


def radius_of(hole: np.ndarray) -> float:
    return float(np.sqrt(hole.sum() / np.pi))


@pytest.mark.parametrize("grow", [1, 3, 20])
def test_by_so_many_pixels(grow: int) -> None:
    hole = disc(160, 30)
    grown = grow_hole(hole, grow)
    assert radius_of(grown) == pytest.approx(radius_of(hole) + grow, abs=0.6)
    assert (grown >= hole).all()
    assert grow_hole(hole, 0) is hole


def test_auto_goes_by_the_size_of_each_object() -> None:
    hole = np.zeros((900, 900), np.uint8)
    hole[100:105, 100:105] = 1  # dust
    hole[100:200, 300:400] = 1
    hole[300:880, 100:880] = 1
    grown = grow_hole(hole, "auto")
    assert grown[90:120, 90:120].sum() == 25
    assert grown[150, 290:300].sum() == 3
    assert grown[600, 80:100].sum() == AUTO_MOST
    assert (grow_hole(hole[:, ::-1].copy(), "auto") == grown[:, ::-1]).all()


@pytest.mark.parametrize(
    ("side", "radius"),
    [(11, 0), (12, 2), (16, 2), (17, 3), (24, 3), (150, 3), (151, 4), (599, 12), (700, 12)],
)
def test_auto_grows_a_square_by(side: int, radius: int) -> None:
    hole = np.zeros((side + 60, side + 70), np.uint8)
    hole[30 : 30 + side, 31 : 31 + side] = 1
    grown = grow_hole(hole, "auto")
    middle = 30 + side // 2
    rows, columns = np.flatnonzero(grown[:, middle]), np.flatnonzero(grown[middle])
    assert (rows[0], rows[-1]) == (30 - radius, 29 + side + radius)
    assert (columns[0], columns[-1]) == (31 - radius, 30 + side + radius)
    assert (len(rows), len(columns)) == (side + 2 * radius,) * 2


def test_neighbours_grow_each_by_its_own_size() -> None:
    hole = np.zeros((120, 200), np.uint8)
    hole[40:70, 40:70] = hole[50:52, 75:77] = 1  # the second is dust, 5 pixels beside the first
    grown = grow_hole(hole, "auto")
    assert np.flatnonzero(grown[51]).tolist() == [*range(37, 73), 75, 76]
    assert np.flatnonzero(grow_hole(hole, 2)[51]).tolist() == [*range(38, 72), *range(73, 79)]


def test_at_the_border_and_where_nothing_would_be_left() -> None:
    hole = np.zeros((20, 20), np.uint8)
    hole[:, :18] = 1
    assert grow_hole(hole, 1)[:, :19].all()
    assert (grow_hole(hole, 5) == hole).all()
    empty = np.zeros((5, 5), np.uint8)
    assert grow_hole(empty, 3) is empty


@pytest.mark.parametrize("grow", [-1, 65, 1.5, True, "some"])
def test_wrong_values(grow: object) -> None:
    with pytest.raises(InputError, match=f"^grow is {grow!r}; give whole pixels from 0 to 64, or 'auto'"):
        InpaintOptions(grow=grow)  # type: ignore[arg-type]


@pytest.mark.parametrize("grow", [0, 4, "auto"])
def test_known_pixels_outside_the_grown_hole_stay(grow: object) -> None:
    image = np.random.default_rng(0).integers(0, 256, (280, 300, 3), np.uint8)
    hole = np.zeros((280, 300), np.uint8)
    hole[100:180, 120:220] = 255
    with Inpainter(backend="onnxruntime") as inpainter:
        result = inpainter.inpaint(image, hole, options=InpaintOptions(grow=grow, iterations=1))  # type: ignore[arg-type]
    assert result.hole.sum() == grow_hole(hole // 255, grow).sum()  # type: ignore[arg-type]
    np.testing.assert_array_equal(result.image[result.hole == 0], image[result.hole == 0])
    assert (result.image[result.hole > 0] != image[result.hole > 0]).any()


WHOLE = np.full((6, 10), 255, np.uint8)


def columns(*marked: int, white: int = 255, black: int = 0) -> np.ndarray:
    mask = np.full((6, 10), black, np.uint8)
    mask[:, marked] = white
    return mask


def read(mask: np.ndarray, avoid: object = None, prefer: object = None, **more: object) -> tuple:
    """Which columns are hole, visible and copyable, and the kinds of warnings."""
    settings = {"shape": (6, 10, 3), "mask_hole": "white", "grow": 0} | more
    masks, warnings = read_masks(mask, avoid, prefer, **settings)  # type: ignore[arg-type]
    found = []
    for part in (masks.hole, masks.visible, masks.copyable):
        if part is not None:
            assert part.dtype == np.uint8
            assert (part == part[:1]).all()
            assert part.max() <= 1
        found.append(None if part is None else np.flatnonzero(part[0]).tolist())
    return *found, [warning.kind for warning in warnings]


@pytest.mark.parametrize(
    ("mask", "mask_hole", "hole"),
    [
        (columns(2, white=128, black=127), "white", [2]),
        (columns(2, white=128, black=127), "black", [0, 1, *range(3, 10)]),
        (columns(2, white=1), "white", [2]),
        (columns(*range(1, 10), white=1), "black", [0]),
        (columns(2, white=1) > 0, "white", [2]),
        (columns(2, white=255, black=2)[..., None], "white", [2]),
        (columns(2, white=2), "white", []),  # from 2 up it is no mask of 0 and 1
    ],
)
def test_what_of_a_mask_is_hole(mask: np.ndarray, mask_hole: str, hole: list[int]) -> None:
    assert read(mask, mask_hole=mask_hole)[:3] == (hole, None, None)


def test_avoid_and_prefer_leave_what_is_known_and_allowed() -> None:
    mask = columns(4, 5)
    assert read(mask, avoid=columns(0, 1, 4))[1:3] == ([2, 3, 6, 7, 8, 9], None)
    assert read(mask, prefer=columns(0, 1, 4))[1:3] == (None, [0, 1])
    assert read(mask, avoid=columns(0, 4), prefer=columns(0, 1, 4))[1:3] == ([1, 2, 3, 6, 7, 8, 9], [1])
    assert read(mask, avoid=columns(0), grow=1)[:2] == ([3, 4, 5, 6], [1, 2, 7, 8, 9])
    # The end of the mask that is the hole says nothing about the two others.
    known = columns(0, 1, 2, 3, 6, 7, 8, 9)
    assert read(known, avoid=columns(0), prefer=columns(1), mask_hole="black")[1:3] == ([1, 2, 3, 6, 7, 8, 9], [1])


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((6, 10, 3), "mask.max(axis=2)"),
        ((6, 10, 4), "mask[..., 3]"),
        ((6, 10, 2), ""),
        ((60,), ""),
        ((1, 6, 10, 3), ""),
    ],
)
def test_a_wrong_shape_is_told_with_a_way_to_mend_it(shape: tuple[int, ...], hint: str) -> None:
    wrong = np.zeros(shape, np.uint8)
    for given in ((wrong, None, None), (columns(1), wrong, None), (columns(1), None, wrong)):
        with pytest.raises(InputError) as caught:
            read(*given)
        name = "the mask" if given[0] is wrong else "the avoid mask" if given[1] is wrong else "the prefer mask"
        assert str(caught.value).startswith(f"{name} has shape {shape}; allowed: [H, W] or [H, W, 1]")
        assert hint in str(caught.value)
        assert ("mask.max" in str(caught.value), "[..., 3]" in str(caught.value)) == ("max" in hint, "3" in hint)


@pytest.mark.parametrize(("count", "kinds"), [(0, ["empty"]), (1, []), (9, []), (9.5, ["almost all"])])
def test_a_share_that_looks_odd(count: float, kinds: list[str]) -> None:
    mask = columns(*range(int(count)))
    if count % 1:
        mask[:3, 9] = 255
    settings = {"shape": (6, 10), "mask_hole": "white", "grow": 0}
    _, warnings = read_masks(mask, None, None, **settings)  # type: ignore[arg-type]
    assert [warning.kind for warning in warnings] == kinds
    if count == 9.5:
        assert "marks 95 % of the image" in str(warnings[0])
    with pytest.raises(InputError, match="every pixel"):
        read(WHOLE)


@pytest.mark.parametrize(
    ("mask", "mask_hole", "text"),
    [
        (columns(), "white", "at most 0, and values from 128 up are white. If black is what"),
        (columns(3, white=2), "white", "at most 2, and values from 128 up are white; if all above 0 are meant, use"),
        (columns(3, white=127), "white", "at most 127, and values from 128 up are white; if all above 0"),
        (columns(3, white=255, black=128), "black", "at least 128, and values up to 127 are black. If white is what"),
    ],
)
def test_an_empty_mask_names_its_values(mask: np.ndarray, mask_hole: str, text: str) -> None:
    settings = {"shape": (6, 10), "mask_hole": mask_hole, "grow": 0}
    _, (warning,) = read_masks(mask, None, None, **settings)  # type: ignore[arg-type]
    assert warning.kind == "empty"
    assert text in warning.text


def test_a_mask_of_ones_is_all_hole() -> None:
    with pytest.raises(InputError, match="every pixel"):
        read(columns(*range(10), white=1))
