"""What a stream remembers: still fillings, what was seen, light, motion, cuts, and what must never be kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt import InpaintOptions
from iic_rt.errors import InputError
from iic_rt.result import InpaintResult, Timings
from iic_rt.video import VideoInpainter
from iic_rt.video.plate import NOTHING, Plate
from iic_rt.video.remember import Memory
from tests.video.conftest import FakeInpainter, get
from tests.video.scenes import background, disc

Pixels = np.ndarray
SHAPE = (240, 320)
SCENE = background(1, (320, 420))
OPTIONS = InpaintOptions(grow=0)
INVENTED = 7  # what the fake fills in


class Filler:
    """Fills with one grey value, and counts."""

    def __init__(self) -> None:
        self.holes: list[int] = []

    def __call__(self, image: Pixels, mask: Pixels, avoid: Any, options: InpaintOptions) -> InpaintResult:
        self.holes.append(int(mask.sum()))
        filled = image.copy()
        filled.reshape(*mask.shape, -1)[..., :3][mask > 0] = INVENTED
        return InpaintResult(image=filled, hole=mask, iterations=1, regions=1, timings=Timings())


def view(x: float = 50, y: float = 40) -> Pixels:
    """A window of the scene with its corner there."""
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(SCENE, matrix, SHAPE[::-1], flags=flags), np.uint8)


def mask_at(x: float, y: float = 120, radius: float = 20) -> Pixels:
    return disc(x, y, radius, SHAPE) // np.uint8(255)


def covered(frame: Pixels, mask: Pixels) -> Pixels:
    """With a red thing."""
    return np.where(mask[..., None] > 0, np.array([0, 0, 255]), frame).astype(np.uint8)


def run(
    frames: Sequence[Pixels], masks: Sequence[Pixels | None], lookahead: int = 0
) -> tuple[list[Pixels], list[float], Filler]:
    """Images, shares that were known, and what had to be filled."""
    memory, filler = Memory(lookahead), Filler()
    looks = [memory.look(frame, mask, OPTIONS) for frame, mask in zip(frames, masks, strict=True)]
    images, shares = [], []
    for n, look in enumerate(looks):
        assert look is not None
        if look.hole is None:
            memory.see(look)
            continue
        later = [other for other in looks[n + 1 : n + 1 + lookahead] if other is not None]
        result, share = memory.fill(look, later, filler, OPTIONS)
        images.append(result.image)
        shares.append(share)
    return images, shares, filler


def noisy(frame: Pixels, rng: np.random.Generator, deviation: float = 2.0) -> Pixels:
    return (frame + rng.normal(0, deviation, frame.shape)).round().clip(0, 255).astype(np.uint8)


def error(image: Pixels, truth: Pixels, mask: Pixels) -> float:
    return float(np.abs(image[mask > 0].astype(float) - truth[mask > 0]).mean())


def test_a_still_scene_is_filled_once(rng: np.random.Generator) -> None:
    mask = mask_at(160)
    frames = [covered(noisy(view(), rng), mask) for _ in range(10)]
    images, shares, filler = run(frames, [mask] * 10)
    assert filler.holes == [int(mask.sum())]
    assert shares == [0.0] + [1.0] * 9
    for image, frame in zip(images, frames, strict=True):
        np.testing.assert_array_equal(image[mask == 0], frame[mask == 0])
    low = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2) for image in images]
    ring = cv2.dilate(mask, np.ones((33, 33), np.uint8)) - mask
    inner = cv2.erode(mask, np.ones((13, 13), np.uint8))  # where the low pass sees the filling alone
    change = [np.abs(b - a) for a, b in pairwise(low[1:])]
    flicker = np.mean([c[inner > 0].mean() for c in change]) / np.mean([c[ring > 0].mean() for c in change])
    assert 0.3 < flicker < 1.1  # neither restless nor dead


def test_a_mask_that_moves_by_a_pixel_changes_nothing() -> None:
    masks = [mask_at(160), mask_at(161), mask_at(160, 121)]
    images, shares, filler = run([covered(view(), mask_at(160, 120, 17))] * 3, masks)
    both = masks[0] & masks[1] & masks[2]
    assert len(filler.holes) == 1
    for image in images[1:]:
        assert error(image, images[0], both) < 0.5
        assert error(image, view(), masks[1] & ~masks[0]) < 0.5
    assert shares[1:] == [1.0, 1.0]


def test_what_was_seen_is_shown(rng: np.random.Generator) -> None:
    masks = [mask_at(x) for x in range(60, 260, 12)]
    truth = [noisy(view(), rng) for _ in masks]
    images, _, filler = run([covered(t, m) for t, m in zip(truth, masks, strict=True)], masks)
    assert len(filler.holes) == 1  # the first, and nothing after it
    assert error(images[-1], view(), masks[-1]) < 3


def test_frames_without_a_mask_are_seen_too() -> None:
    images, shares, filler = run([view(), covered(view(), mask_at(160))], [None, mask_at(160)])
    assert (shares, filler.holes) == ([1.0], [])
    assert error(images[0], view(), mask_at(160)) < 1


def test_what_later_frames_show_is_taken() -> None:
    masks = [mask_at(x) for x in range(80, 240, 20)]
    frames = [covered(view(), mask) for mask in masks]
    images, shares, filler = run(frames, masks, lookahead=4)
    assert (filler.holes, set(shares)) == ([], {1.0})
    assert error(images[0], view(), masks[0]) < 1
    _, alone, _ = run(frames, masks)
    assert alone[0] == 0


@pytest.mark.parametrize("step", [0.1, 1.2])
def test_a_camera_that_pans(step: float) -> None:
    mask = mask_at(160)
    truth = [view(50 + step * n, 40) for n in range(16)]
    images, _, filler = run([covered(t, mask) for t in truth], [mask] * 16)
    assert len(filler.holes) == 1
    moved = step * 15
    # What was filled first has moved along, and where it was the truth is shown.
    inside = mask_at(160 - moved) & cv2.erode(mask, np.ones((9, 9), np.uint8))
    assert error(images[-1], np.full_like(images[-1], INVENTED), inside) < 12
    shown = cv2.erode(mask & (1 - mask_at(160 - moved, 120, 24)), np.ones((3, 3), np.uint8))
    if step > 1:
        assert error(images[-1], truth[-1], shown) < 8


def test_the_light_changes() -> None:
    masks = [mask_at(x) for x in range(60, 260, 12)]
    light = np.linspace(1, 0.6, len(masks))
    truth = [(view() * f + 20 * (1 - f)).astype(np.uint8) for f in light]
    images, _, filler = run([covered(t, m) for t, m in zip(truth, masks, strict=True)], masks)
    assert len(filler.holes) == 1
    assert error(images[-1], truth[-1], masks[-1]) < 3


def test_a_cut_is_a_new_beginning() -> None:
    other = background(7, SHAPE)
    mask = mask_at(160)
    frames = [covered(f, mask) for f in (view(), view(), other, other)]
    _, shares, filler = run(frames, [mask] * 4)
    assert shares == [0.0, 1.0, 0.0, 1.0]
    assert len(filler.holes) == 2


def test_a_change_of_size_is_a_new_beginning() -> None:
    mask = mask_at(160)
    _, shares, _ = run([view(), view()[:200]], [mask, mask[:200]])
    assert shares == [0.0, 0.0]


def test_nothing_under_a_mask_is_ever_kept(rng: np.random.Generator) -> None:
    """The thing is red, and red is nowhere else."""
    red = np.array([0, 0, 255])
    for step in (0, 3):
        plate = Plate()
        for n in range(8):
            mask = mask_at(100 + 10 * n)
            memory = Memory()
            look = memory.look(covered(view(50 + step * n), mask), mask, OPTIONS)
            assert look is not None
            plate.meet(look)
            left = plate.left(look)
            image = np.full((*SHAPE, 3), INVENTED, np.uint8)
            if n % 2:  # filled or not
                plate.keep(look, image, left, None)
            kept = [plate._values, plate._anchor.colours if plate._anchor is not None else plate._values]
            for values in kept:
                assert np.abs(values - red).sum(2).min() > 100
            assert plate._anchor is not None
            assert plate._anchor.image is None
            assert (plate._trust[plate._kind == NOTHING] == 0).all()


def test_close_to_a_mask_nothing_is_taken_for_seen() -> None:
    """A shadow around the thing stays out of the memory where the ground was seen before."""
    masks = [mask_at(x) for x in range(60, 260, 12)]
    shadows = [mask_at(x, 120, 22) for x in range(60, 260, 12)]
    frames = [covered(np.where(s[..., None] > 0, view() // 2, view()), m) for s, m in zip(shadows, masks, strict=True)]
    images, _, _ = run(frames, masks)
    assert error(images[-1], view(), masks[-1]) < 2


def test_a_thing_that_passes_unmasked_is_no_background() -> None:
    mask = mask_at(200)
    passing = [disc(40 + 4 * n, 120, 14, SHAPE) // np.uint8(255) for n in range(10)]
    frames = [covered(np.where(p[..., None] > 0, np.uint8(255), view()), mask) for p in passing]
    masks = [mask] * 9 + [mask_at(88)]
    images, _, _ = run(frames, masks)
    seen = mask_at(88) & (1 - passing[0])
    assert error(images[-1], view(), seen) < 4


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_grey_colour_and_alpha(channels: int | None) -> None:
    mask = mask_at(160)
    grey = cv2.cvtColor(view(), cv2.COLOR_BGR2GRAY)
    alpha = np.arange(SHAPE[1], dtype=np.uint8)[None].repeat(SHAPE[0], 0)
    frame = {None: grey, 1: grey[..., None], 3: view(), 4: np.dstack([view(), alpha])}[channels]
    images, shares, _ = run([frame] * 3, [mask, mask, mask_at(90)])
    assert shares == [0, 1, 1]
    assert {image.shape for image in images} == {frame.shape}
    np.testing.assert_array_equal(images[1][mask == 0], frame[mask == 0])
    assert error(images[2], frame, mask_at(90)) < 1
    if channels == 4:
        assert all((image[..., 3] == alpha).all() for image in images)


def test_confidence_and_what_is_left() -> None:
    mask = mask_at(160)
    options = InpaintOptions(grow=0, outputs=("confidence", "hole_left"))
    memory, filler = Memory(), Filler()
    for _ in range(2):
        look = memory.look(view(), mask, options)
        assert look is not None
        result, share = memory.fill(look, (), filler, options)
    assert share == 1
    assert result.confidence is not None
    assert result.hole_left is not None
    assert (result.confidence[mask == 0] == 1).all()
    assert 0 < result.confidence[mask > 0].max() < 1
    assert not result.hole_left.any()
    assert (result.iterations, result.regions) == (0, 0)


def test_what_is_avoided_is_never_taken_for_background() -> None:
    person, mask = mask_at(200), mask_at(160)
    frames = [np.where(person[..., None] > 0, np.uint8(255), view()).astype(np.uint8)] * 2
    given: list[Any] = []

    class Noting(Filler):
        def __call__(self, image: Pixels, mask: Pixels, avoid: Any, options: InpaintOptions) -> InpaintResult:
            given.append(avoid)
            return super().__call__(image, mask, avoid, options)

    for avoid in (None, person):
        memory, filler = Memory(), Noting()
        looks = [
            memory.look(frame, hole, OPTIONS, avoid=avoid)
            for frame, hole in zip(frames, (mask, mask | person), strict=True)
        ]
        images = []
        for look in looks:
            assert look is not None
            images.append(memory.fill(look, (), filler, OPTIONS)[0].image)
        seen = (person > mask) & (images[1][..., 0] == 255)
        # Seen as what stands there, or filled when the mask covers it.
        assert seen.sum() > 500 if avoid is None else not seen.any()
    assert given[0] is None
    np.testing.assert_array_equal(given[1], person & ~mask)


def test_what_is_unknown_does_not_bleed_into_what_is_known() -> None:
    memory, beside = Memory(), mask_at(130)
    avoid = np.zeros(SHAPE, np.uint8)
    avoid[100:140, 148:170] = 1
    avoid &= ~beside
    for n in range(8):  # the camera pans by parts of a pixel
        frame = view(50 + 0.4 * n)
        look = memory.look(frame, mask_at(60, 40) if n < 2 else beside, OPTIONS, avoid=avoid)
        assert look is not None
        shown = memory.fill(look, (), Filler(), OPTIONS)[0].image
    rim = beside & cv2.dilate(avoid, np.ones((7, 7), np.uint8))
    assert error(shown, frame, rim) < 8


def test_what_is_avoided_keeps_the_background_seen_before() -> None:
    person, mask = mask_at(220), mask_at(100)
    hidden = np.where(person[..., None] > 0, np.uint8(255), view()).astype(np.uint8)
    memory, filler = Memory(), Filler()
    for frame, hole, avoid in ((view(), mask, None), (hidden, mask, person), (hidden, mask | person, None)):
        look = memory.look(frame, hole, OPTIONS, avoid=avoid)
        assert look is not None
        result, _ = memory.fill(look, (), filler, OPTIONS)
    assert error(result.image, view(), person) < 1


# Through a stream


def test_a_stream_counts_what_it_remembers(fake: FakeInpainter) -> None:
    fake.options = OPTIONS
    mask = mask_at(160)
    with VideoInpainter(fake, slots=8) as video:
        video.put(view(), mask)
        video.put(view(), mask)
        video.put(view(), None)
        video.put(view(), mask_at(80))
        video.end()
        frames = list(video)
        stats = video.stats
    assert [frame.remembered for frame in frames] == [0, 1, 0, 1]
    assert [frame.status for frame in frames] == ["filled", "filled", "untouched", "filled"]
    assert (stats.filled, stats.remembered, stats.untouched) == (3, 2, 1)
    assert [name for name, _ in fake.calls].count("submit") == 1
    np.testing.assert_array_equal(frames[2].image, view())


def test_without_memory_every_frame_is_filled(fake: FakeInpainter) -> None:
    with VideoInpainter(fake, slots=8, memory=False) as video:
        for _ in range(3):
            video.put(view(), mask_at(160))
        video.end()
        assert [frame.remembered for frame in video] == [0, 0, 0]
    assert [name for name, _ in fake.calls].count("submit") == 3


def test_lookahead_waits_for_so_many_frames(fake: FakeInpainter) -> None:
    fake.options = OPTIONS
    with VideoInpainter(fake, slots=2, lookahead=3) as video:
        for x in (80, 120, 160):
            video.put(covered(view(), mask_at(x)), mask_at(x))
        with pytest.raises(TimeoutError):
            video.get(timeout=0.1)
        video.put(covered(view(), mask_at(200)), mask_at(200))
        first = get(video)
        assert (first.index, first.remembered) == (0, 1)
        assert error(first.image, view(), mask_at(80)) < 1
        video.end()
        assert [frame.index for frame in video] == [1, 2, 3]


def test_a_stream_with_lookahead_can_be_closed(fake: FakeInpainter) -> None:
    with VideoInpainter(fake, slots=2, lookahead=5) as video:
        for x in (80, 120):
            video.put(view(), mask_at(x))
    assert video.stats.dropped["closed"] == 2
    assert video.stats.held == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lookahead": -1}, "from 0 to 64"),
        ({"lookahead": 65}, "from 0 to 64"),
        ({"lookahead": 1, "memory": False}, "needs memory=True"),
        ({"memory": "yes"}, "True or False"),
    ],
)
def test_options_out_of_range(fake: FakeInpainter, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        VideoInpainter(fake, **options)


def test_a_mask_that_cannot_be_used_leaves_the_memory_alone(fake: FakeInpainter) -> None:
    fake.options = OPTIONS
    fake.failing = {99: InputError("no such mask")}
    bad = view()
    bad[0, 0] = 99
    with VideoInpainter(fake, slots=8) as video:
        video.put(view(), mask_at(160))
        video.put(bad, np.ones(SHAPE, np.uint8))  # the inpainter says what is wrong
        video.put(view(), mask_at(160))
        video.end()
        frames = list(video)
    assert [frame.status for frame in frames] == ["filled", "failed", "filled"]
    assert frames[2].remembered == 1
