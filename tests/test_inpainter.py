"""The public class: what it promises about pixels, options, and bad input."""

from __future__ import annotations

import dataclasses
import inspect
import os
from pathlib import Path

import numpy as np
import pytest

from iic_rt import IICError, Inpainter, InpaintOptions, InpaintResult
from iic_rt.errors import BackendError, InputError


def picture(rng: np.random.Generator, height: int, width: int, channels: int = 3) -> np.ndarray:
    image = rng.integers(0, 256, (height, width, channels), np.uint8)
    return image[..., 0] if channels == 1 else image


def box_mask(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 4 : width // 2] = 255
    return mask


@pytest.mark.parametrize("shape", [(64, 64), (97, 131), (300, 40), (40, 300), (17, 16), (256, 512)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_known_pixels_and_alpha_stay(
    inpainter: Inpainter, rng: np.random.Generator, shape: tuple[int, int], channels: int
) -> None:
    image, mask = picture(rng, *shape, channels), box_mask(*shape)
    before = image.copy()
    result = inpainter.inpaint(image, mask)
    np.testing.assert_array_equal(image, before)
    assert result.image.shape == image.shape
    assert result.image.dtype == np.uint8
    np.testing.assert_array_equal(result.image[mask == 0], image[mask == 0])
    if channels == 4:
        np.testing.assert_array_equal(result.image[..., 3], image[..., 3])
    assert (result.image[mask > 0] != image[mask > 0]).any()
    assert (result.confidence[mask == 0] == 1).all()
    assert result.confidence.min() >= 0
    assert result.confidence.max() <= 1
    assert not result.hole_left[mask == 0].any()
    assert not np.shares_memory(result.image, image)


def test_grey_with_a_channel_axis(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 64, 80, 1)[..., None], box_mask(64, 80)[..., None]
    assert inpainter.inpaint(image, mask).image.shape == (64, 80, 1)


def test_what_lies_under_the_hole_has_no_influence(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 150, 170), box_mask(150, 170)
    other = image.copy()
    other[mask > 0] = 255 - other[mask > 0]
    np.testing.assert_array_equal(inpainter.inpaint(image, mask).image, inpainter.inpaint(other, mask).image)


def test_channel_orders_mirror_each_other(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 90, 90), box_mask(90, 90)
    rgb = inpainter.inpaint(image, mask)
    bgr = inpainter.inpaint(image[..., ::-1], mask, options=InpaintOptions(grow=0, channel_order="bgr"))
    np.testing.assert_array_equal(rgb.image, bgr.image[..., ::-1])


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_masks_of_0_and_1_and_bool(inpainter: Inpainter, rng: np.random.Generator, dtype: type) -> None:
    image, mask = picture(rng, 80, 80), box_mask(80, 80)
    expected = inpainter.inpaint(image, mask)
    np.testing.assert_array_equal(expected.image, inpainter.inpaint(image, (mask > 0).astype(dtype)).image)


def test_polarity(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 80, 80), box_mask(80, 80)
    inverted = inpainter.inpaint(image, 255 - mask, options=InpaintOptions(grow=0, mask_hole="black"))
    np.testing.assert_array_equal(inverted.image, inpainter.inpaint(image, mask).image)


def test_a_mask_of_almost_everything_names_the_option(inpainter: Inpainter, rng: np.random.Generator) -> None:
    mask = np.full((80, 80), 255, np.uint8)
    mask[:4] = 0
    result = inpainter.inpaint(picture(rng, 80, 80), mask)
    (warning,) = result.warnings
    assert warning.kind == "almost all"
    assert "95 %" in str(warning)
    assert "mask_hole='black'" in str(warning)
    assert result.regions == 1


def test_an_empty_mask_gives_the_image_back_and_says_so(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image = picture(rng, 80, 80)
    result = inpainter.inpaint(image, np.zeros((80, 80), np.uint8))
    (warning,) = result.warnings
    assert warning.kind == "empty"
    assert "unchanged" in str(warning)
    np.testing.assert_array_equal(result.image, image)
    assert (result.iterations, result.regions) == (0, 0)


def test_noncontiguous_arrays(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 160, 180), box_mask(160, 180)
    views = image[::2, ::-2], mask[::2, ::-2]
    copies = [np.ascontiguousarray(v) for v in views]
    np.testing.assert_array_equal(inpainter.inpaint(*views).image, inpainter.inpaint(*copies).image)
    fortran = inpainter.inpaint(np.asfortranarray(copies[0]), np.asfortranarray(copies[1]))
    np.testing.assert_array_equal(fortran.image, inpainter.inpaint(*copies).image)


def test_several_objects_in_one_call(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 300, 300), np.zeros((300, 300), bool)
    mask[10:30, 10:30] = mask[250:280, 250:280] = True
    both = inpainter.inpaint(image, mask)
    assert both.regions == 2
    alone = mask.copy()
    alone[:150] = False
    np.testing.assert_array_equal(both.image[150:], inpainter.inpaint(image, alone).image[150:])


def test_iterations_and_history(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 100, 100), box_mask(100, 100)
    result = inpainter.inpaint(
        image,
        mask,
        options=InpaintOptions(grow=0, iterations=3, upsample=False, outputs=("confidence", "hole_left", "history")),
    )
    assert 1 <= result.iterations <= 3
    assert len(result.history) == result.iterations == len(result.timings.iterations_ms)
    np.testing.assert_array_equal(result.history[-1].image, result.image)
    np.testing.assert_array_equal(result.history[-1].confidence, result.confidence)
    np.testing.assert_array_equal(result.history[-1].hole, result.hole_left)
    shorter = inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, iterations=1, upsample=False))
    np.testing.assert_array_equal(result.history[0].image, shorter.image)
    left = [int(s.hole.sum()) for s in result.history]
    assert left == sorted(left, reverse=True)


def test_a_tiny_budget_still_fills_every_region(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = picture(rng, 300, 300), np.zeros((300, 300), bool)
    mask[10:30, 10:30] = mask[250:280, 250:280] = True
    result = inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, iterations=50, budget_ms=1e-6))
    assert result.iterations == 1
    first = inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, iterations=1))
    np.testing.assert_array_equal(result.image, first.image)


def test_timings_add_up(inpainter: Inpainter, rng: np.random.Generator) -> None:
    t = inpainter.inpaint(picture(rng, 120, 120), box_mask(120, 120)).timings
    assert 0 < t.prepare_ms + sum(t.iterations_ms) + t.upsample_ms <= t.total_ms


IMAGE, MASK = np.zeros((32, 40, 3), np.uint8), np.eye(32, 40, dtype=np.uint8)
BAD_IMAGES = {
    "a list": ([[0]], "numpy array"),
    "float": (IMAGE.astype(np.float32), r"0\.\.255"),
    "nan": (np.full((32, 40, 3), np.nan), "NaN"),
    "16 bits": (IMAGE.astype(np.uint16), "257"),
    "signed": (IMAGE.astype(np.int8), r"only uint8 .* Convert it"),
    "colour first": (np.zeros((3, 32, 40), np.uint8), "colour last"),
    "two channels": (np.zeros((32, 40, 2), np.uint8), "allowed"),
    "a batch": (np.zeros((1, 32, 40, 3), np.uint8), "allowed"),
    "no pixels": (np.zeros((0, 40, 3), np.uint8), "no pixels"),
}
BAD_MASKS = {
    "none": (None, "numpy array"),
    "float": (MASK.astype(np.float32), "mask > 0.5"),
    "nan": (np.full((32, 40), np.nan), "threshold"),
    "16 bits": (MASK.astype(np.uint16), "allowed"),
    "colour": (np.zeros((32, 40, 3), np.uint8), r"\[H, W\]"),
    "another size": (np.eye(40, 32, dtype=np.uint8), r"32x40 and the image 40x32"),
    "everything": (np.ones((32, 40), np.uint8), "mask_hole='black'"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(inpainter: Inpainter, name: str) -> None:
    image, message = BAD_IMAGES[name]
    with pytest.raises(InputError, match=message):
        inpainter.inpaint(image, MASK)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BAD_MASKS)
def test_bad_masks(inpainter: Inpainter, name: str) -> None:
    mask, message = BAD_MASKS[name]
    with pytest.raises(InputError, match=message):
        inpainter.inpaint(IMAGE, mask)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterations": 0},
        {"iterations": 2.5},
        {"budget_ms": 0},
        {"budget_ms": float("nan")},
        {"mask_hole": "grey"},
        {"channel_order": "RGB"},
        {"context": 1},
        {"outputs": "confidence"},
        {"outputs": ("depth",)},
    ],
)
def test_bad_options(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        InpaintOptions(**wrong)


def test_options_are_frozen_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        InpaintOptions().iterations = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        InpaintOptions(4)  # type: ignore[misc]
    kinds = [p.kind for p in inspect.signature(Inpainter).parameters.values()]
    assert kinds[1:] == [inspect.Parameter.KEYWORD_ONLY] * (len(kinds) - 1)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"threads": 0}, "threads"), ({"working_size": 100}, "multiple of 32")]
)
def test_bad_settings(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Inpainter(**arguments)


def test_an_unknown_backend_is_refused_by_name() -> None:
    with pytest.raises(BackendError, match=r"no backend 'tensorflow'.*onnxruntime"):
        Inpainter(backend="tensorflow")


def test_the_backend_is_told(inpainter: Inpainter) -> None:
    assert inpainter.backend_name == "onnxruntime"


def test_close_is_final_and_may_be_repeated() -> None:
    with Inpainter(working_size=64) as closed:
        pass
    closed.close()
    with pytest.raises(BackendError, match="closed"):
        closed.inpaint(IMAGE, MASK)
    assert issubclass(BackendError, IICError)


def test_results_print_shapes_and_check_theirs(inpainter: Inpainter, rng: np.random.Generator) -> None:
    result = inpainter.inpaint(picture(rng, 64, 70), box_mask(64, 70))
    assert "uint8[64x70x3]" in repr(result)
    with pytest.raises(ValueError, match="confidence"):
        dataclasses.replace(result, confidence=np.zeros((2, 2), np.float32))
    assert isinstance(result, InpaintResult)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to read the resident memory")
def test_memory_does_not_grow(inpainter: Inpainter, rng: np.random.Generator) -> None:
    def resident_mib() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    image, mask = picture(rng, 200, 200), box_mask(200, 200)
    options = InpaintOptions(grow=0, iterations=1)
    for _ in range(30):
        inpainter.inpaint(image, mask, options=options)
    before = resident_mib()
    for _ in range(200):
        inpainter.inpaint(image, mask, options=options)
    # One leaked 200x200 picture a call would be 23 MiB.
    assert resident_mib() - before < 8
