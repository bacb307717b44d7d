"""Images that are under way together: each comes back as if it had been alone, and nobody waits for the next."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import BackendError, InputError
from iic_rt.pipeline import runners
from iic_rt.pipeline.runners import SLOTS
from tests.cuda.fake_driver import FakeApi
from tests.cuda.test_arrays import Interface
from tests.pipeline.test_runner import scene

Open = Callable[..., Inpainter]


def assert_equal(inpainter: Inpainter, images: list, results: list) -> None:
    for (image, mask), result in zip(images, results, strict=True):
        difference = np.abs(result.image.astype(int) - inpainter.inpaint(image, mask).image)
        # The engines that stand in for a GPU's round differently in buffers at other addresses.
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-4


@pytest.mark.parametrize("side", [64, 320])
def test_images_come_back_as_if_alone(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator, side: int
) -> None:
    ours = open_inpainter(api)
    for _ in range(3):
        images = [scene(side, rng) for _ in range(SLOTS)]
        tickets = [ours.submit(image, mask) for image, mask in images]
        assert_equal(inpainter, images, [ours.collect(ticket) for ticket in tickets])


def test_a_stream_of_images_keeps_two_under_way(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    ours = open_inpainter(api)
    images = [scene(320, rng) for _ in range(5)]
    tickets, results = [], []
    for image, mask in images:
        tickets.append(ours.submit(image, mask))
        if len(tickets) > 1:
            results.append(ours.collect(tickets.pop(0)))
    results += [ours.collect(ticket) for ticket in tickets]
    assert_equal(inpainter, images, results)


def test_collecting_waits_for_that_image_alone(
    open_inpainter: Open, discrete: FakeApi, rng: np.random.Generator
) -> None:
    ours = open_inpainter(discrete)
    for image, mask in [scene(320, rng)] * 2:  # captures for both slots
        first, second = ours.submit(image, mask), ours.submit(image, mask)
        ours.collect(first)
        ours.collect(second)
    first, second = (ours.submit(*scene(320, rng)) for _ in range(2))
    before = len(discrete.done)
    ours.collect(first)
    assert discrete.done.count("add_detail") >= 1
    done = discrete.done[before:]
    assert done.count("add_detail") <= 1  # the second is not done yet
    ours.collect(second)


def test_different_sides_and_outputs_are_mixed(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "MOST_BYTES", 1)  # a runner goes as soon as it is idle
    ours = open_inpainter(api)
    images = [scene(side, rng) for side in (320, 64, 448)]
    options = [ours.options, InpaintOptions(grow=0, iterations=2, outputs=("confidence",)), ours.options]
    for _ in range(2):
        tickets = [ours.submit(*i, options=o) for i, o in zip(images, options, strict=True)]
        for (image, mask), chosen, ticket in zip(images, options, tickets, strict=True):
            result, expected = ours.collect(ticket), inpainter.inpaint(image, mask, options=chosen)
            # A sum in another order may round to the next byte.
            assert np.abs(result.image.astype(int) - expected.image).max() <= 1
            if chosen.outputs:
                np.testing.assert_allclose(result.confidence, expected.confidence, atol=1e-5)


def test_warmup_leaves_nothing_to_be_made(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    ours = open_inpainter(api)
    ours.warmup([150])  # rounded up to 160, which the region of the scene has
    made = {name: api.counts()[name] for name in ("cuMemAlloc", "cuStreamBeginCapture", "cuMemHostRegister")}
    tickets = [ours.submit(*scene(320, rng)) for _ in range(SLOTS)]
    for ticket in tickets:
        ours.collect(ticket)
    assert {name: api.counts()[name] for name in made} == made


def test_closing_loses_what_is_under_way(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    ours = open_inpainter(api)
    ticket = ours.submit(*scene(320, rng))
    ours.close()
    with pytest.raises(BackendError, match="what was submitted is lost"):
        ours.collect(ticket)


def test_too_many_and_twice(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(64, rng)
    tickets = [inpainter.submit(image, mask) for _ in range(SLOTS)]
    with pytest.raises(InputError, match="3 images are under way, which is the most; collect one"):
        inpainter.inpaint(image, mask)
    for ticket in tickets:
        inpainter.collect(ticket)
    for ticket in tickets:
        with pytest.raises(InputError, match="collected before"):
            inpainter.collect(ticket)
    inpainter.inpaint(image, mask)


def test_images_of_the_application_are_given_back(open_inpainter: Open, discrete: FakeApi) -> None:
    """Where nothing new is made nobody waits for everything, and what was borrowed must go all the same."""
    ours, shape = open_inpainter(discrete), (160, 300, 3)
    mask = np.zeros(shape[:2], np.uint8)
    mask[40:60, 50:80] = 255
    pictures, tickets = [], []
    for _ in range(8):
        picture = Interface(discrete, shape)
        pictures.append(weakref.ref(picture))
        tickets.append(ours.submit(picture, mask, out=picture, options=InpaintOptions(grow=0)))
        del picture
        if len(tickets) > 1:  # two are under way all the time
            ours.collect(tickets.pop(0))
    assert sum(picture() is not None for picture in pictures) <= SLOTS + 1
    ours.collect(tickets.pop())
