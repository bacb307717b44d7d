"""avoid and prefer: what must not be copied never reaches the result, by construction."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import InputError


def scene(rng: np.random.Generator, height: int = 200, width: int = 260) -> tuple[np.ndarray, np.ndarray]:
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[60:120, 90:160] = 255
    return image, mask


def half(height: int = 200, width: int = 260) -> np.ndarray:
    marked = np.zeros((height, width), np.uint8)
    marked[:, : width // 2] = 255
    return marked


@pytest.mark.parametrize("upsample", [True, False])
def test_no_value_of_an_avoided_area_reaches_the_result(
    inpainter: Inpainter, rng: np.random.Generator, upsample: bool
) -> None:
    image, mask = scene(rng)
    outside = (half() > 0) & (mask == 0)
    other = image.copy()
    other[outside] = rng.integers(0, 256, (int(outside.sum()), 3), np.uint8)
    options = InpaintOptions(grow=0, upsample=upsample, outputs=("confidence",))
    results = [inpainter.inpaint(i, mask, avoid=half(), options=options) for i in (image, other)]
    np.testing.assert_array_equal(*(r.image[mask > 0] for r in results))
    np.testing.assert_array_equal(*(r.confidence for r in results))
    np.testing.assert_array_equal(results[0].image[mask == 0], image[mask == 0])
    free = inpainter.inpaint(other, mask, options=options)
    assert (free.image[mask > 0] != results[1].image[mask > 0]).any()


def rough_half(height: int = 200, width: int = 260) -> np.ndarray:
    """Even on the left, rough on the right, of one mean: only detail tells the sides apart."""
    image = np.full((height, width, 3), 128, np.uint8)
    image[:, width // 2 :: 2] = 28
    image[:, width // 2 + 1 :: 2] = 228
    return image


def test_detail_comes_from_the_preferred_area_alone(inpainter: Inpainter) -> None:
    image, mask = rough_half(), scene(np.random.default_rng(0))[1]
    inside = (slice(70, 110), slice(100, 150))

    def roughness(prefer: np.ndarray) -> float:
        result = inpainter.inpaint(image, mask, prefer=prefer, options=InpaintOptions(grow=0)).image
        return float(np.abs(np.diff(result[inside].astype(float), axis=1)).mean())

    assert roughness(half()) < 10
    assert roughness(255 - half()) > 60


def test_a_preferred_area_far_away_is_reached(inpainter: Inpainter) -> None:
    image = np.full((120, 900, 3), 128, np.uint8)
    image[:, 800::2] = 28
    image[:, 801::2] = 228
    mask, prefer = np.zeros((120, 900), np.uint8), np.zeros((120, 900), np.uint8)
    mask[40:80, 30:70] = 255
    prefer[:, 805:] = 255
    smooth, rough = (inpainter.inpaint(image, mask, prefer=p).image[45:75, 35:65].astype(float) for p in (None, prefer))
    assert rough.std() > smooth.std() + 5


def test_the_order_of_regions_gives_nothing_away(inpainter: Inpainter, rng: np.random.Generator) -> None:
    """A hole that is filled first is known to the next, but an avoided area stays hidden from both."""
    image, mask = scene(rng, 200, 600)
    mask[60:120, 400:460] = 255
    avoid = np.zeros(mask.shape, np.uint8)
    avoid[:, 200:300] = 255
    other = image.copy()
    other[avoid > 0] = 255 - other[avoid > 0]
    results = [inpainter.inpaint(i, mask, avoid=avoid) for i in (image, other)]
    assert results[0].regions == 2
    np.testing.assert_array_equal(*(r.image[mask > 0] for r in results))


def test_masks_of_bool_and_of_0_and_1(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(rng)
    expected = inpainter.inpaint(image, mask, avoid=half()).image
    for avoid in (half() > 0, half() // 255, half()[..., None]):
        np.testing.assert_array_equal(inpainter.inpaint(image, mask, avoid=avoid).image, expected)


def test_mask_hole_black_does_not_turn_them_round(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(rng)
    black = InpaintOptions(grow=0, mask_hole="black")
    turned = inpainter.inpaint(image, 255 - mask, avoid=half(), options=black).image
    np.testing.assert_array_equal(turned, inpainter.inpaint(image, mask, avoid=half()).image)


def test_contradictions(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(rng)
    nothing, everything = np.zeros_like(mask), np.full_like(mask, 255)
    with pytest.raises(InputError, match="avoid mask covers every known pixel"):
        inpainter.inpaint(image, mask, avoid=everything)
    with pytest.raises(InputError, match="prefer mask lies inside the hole"):
        inpainter.inpaint(image, mask, prefer=mask)
    with pytest.raises(InputError, match="prefer mask marks no pixel"):
        inpainter.inpaint(image, mask, prefer=nothing)
    with pytest.raises(InputError, match="avoid covers all that prefer marks"):
        inpainter.inpaint(image, mask, avoid=half(), prefer=half())
    with pytest.raises(InputError, match="the avoid mask is 10x10 and the image 260x200"):
        inpainter.inpaint(image, mask, avoid=np.zeros((10, 10), np.uint8))
    with pytest.raises(InputError, match="the prefer mask has dtype float32"):
        inpainter.inpaint(image, mask, prefer=half().astype(np.float32))
