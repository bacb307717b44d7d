"""Several threads: of two calls of one inpainter at once the second is refused; a pool serves all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

import numpy as np
import pytest

from iic_rt import Inpainter, InpainterPool, InpaintOptions
from iic_rt import pool as pools
from iic_rt.errors import BackendError, InputError
from iic_rt.pool import threads_each
from iic_rt.video import VideoInpainter

SETTINGS = {"backend": "onnxruntime", "working_size": 64}
OPTIONS = InpaintOptions(grow=0, iterations=2)
REFUSED = "in the middle of another call.*InpainterPool"

Scene = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Images of one size whose results differ."""
    rng = np.random.default_rng(11)
    found = []
    for i in range(8):
        small = rng.integers(0, 256, (12, 12, 3), np.uint8)
        mask = np.zeros((96, 96), np.uint8)
        mask[30 : 60 + i, 25:60] = 255
        found.append((np.kron(small, np.ones((8, 8, 1), np.uint8)), mask))
    return found


@pytest.fixture(scope="module")
def expected(scenes: list[Scene]) -> list[np.ndarray]:
    with Inpainter(**SETTINGS, options=OPTIONS) as inpainter:
        return [inpainter.inpaint(*scene).image for scene in scenes]


@pytest.fixture
def opened() -> Iterator[Inpainter]:
    with Inpainter(**SETTINGS, options=OPTIONS) as inpainter:
        yield inpainter


class Held:
    """Holds a call of an inpainter in its middle until it is let go."""

    def __init__(self, inpainter: Inpainter) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        start = inpainter._filling.start

        def held(*arguments):
            self.entered.set()
            assert self.go.wait(20)
            return start(*arguments)

        inpainter._filling.start = held


def test_four_threads_never_get_a_wrong_image(
    opened: Inpainter, scenes: list[Scene], expected: list[np.ndarray]
) -> None:
    together = threading.Barrier(4)

    def fill(thread: int) -> list[bool]:
        """Whether each image was right; those that were refused are left out."""
        together.wait()
        right = []
        for i in range(len(scenes)):
            at = (i + 2 * thread) % len(scenes)
            with suppress(BackendError):
                right.append(np.array_equal(opened.inpaint(*scenes[at]).image, expected[at]))
        return right

    with ThreadPoolExecutor(4) as threads:
        right = [r for found in threads.map(fill, range(4)) for r in found]
    assert all(right)
    assert right


CALLS: dict[str, Callable[[Inpainter, Scene], object]] = {
    "inpaint": lambda inpainter, scene: inpainter.inpaint(*scene),
    "submit": lambda inpainter, scene: inpainter.submit(*scene),
    "collect": lambda inpainter, scene: inpainter.collect(None),
    "warmup": lambda inpainter, scene: inpainter.warmup([64]),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_second_call_is_refused_and_the_first_is_good(
    opened: Inpainter, scenes: list[Scene], expected: list[np.ndarray], name: str
) -> None:
    held = Held(opened)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(opened.inpaint, *scenes[0])
        assert held.entered.wait(20)
        with pytest.raises(BackendError, match=REFUSED):
            CALLS[name](opened, scenes[1])
        held.go.set()
        np.testing.assert_array_equal(first.result(20).image, expected[0])
    np.testing.assert_array_equal(opened.inpaint(*scenes[1]).image, expected[1])


def test_a_call_beside_a_stream_is_refused(opened: Inpainter, scenes: list[Scene]) -> None:
    held = Held(opened)
    with VideoInpainter(opened, memory=False) as video:
        video.put(*scenes[0])
        assert held.entered.wait(20)
        with pytest.raises(BackendError, match=REFUSED):
            opened.inpaint(*scenes[1])
        held.go.set()
        assert video.get(20).status == "filled"


def test_close_waits_for_the_call_in_hand(opened: Inpainter, scenes: list[Scene], expected: list[np.ndarray]) -> None:
    held = Held(opened)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(opened.inpaint, *scenes[0])
        assert held.entered.wait(20)
        closing = threads.submit(opened.close)
        assert not wait([closing], 0.1).done
        held.go.set()
        np.testing.assert_array_equal(first.result(20).image, expected[0])
        closing.result(20)
    with pytest.raises(BackendError, match="closed"):
        opened.inpaint(*scenes[0])


def test_close_in_the_middle_of_the_own_call_says_so(opened: Inpainter, scenes: list[Scene]) -> None:
    start = opened._filling.start

    def closing(*arguments):
        with pytest.raises(BackendError, match="close it after that call"):
            opened.close()
        return start(*arguments)

    opened._filling.start = closing
    opened.inpaint(*scenes[0])


@pytest.fixture(scope="module")
def pool() -> Iterator[InpainterPool]:
    with InpainterPool(2, **SETTINGS, threads=1, options=OPTIONS, warmup=[64]) as shared:
        yield shared


def test_a_pool_serves_more_threads_than_it_has_inpainters(
    pool: InpainterPool, scenes: list[Scene], expected: list[np.ndarray]
) -> None:
    with ThreadPoolExecutor(6) as threads:
        results = list(threads.map(lambda i: pool.inpaint(*scenes[i % 8]).image, range(24)))
    for i, image in enumerate(results):
        np.testing.assert_array_equal(image, expected[i % 8])


def test_a_wrong_argument_costs_no_inpainter(pool: InpainterPool, scenes: list[Scene]) -> None:
    before = set(pool._free)
    with pytest.raises(InputError):
        pool.inpaint(scenes[0][0], scenes[0][1][:5])
    assert set(pool._free) == before


def test_an_inpainter_that_failed_is_replaced(
    scenes: list[Scene], expected: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with InpainterPool(1, **SETTINGS, options=OPTIONS) as pool:
        (first,) = pool._free

        def fail(*_arguments, **_options):
            raise BackendError("the device is gone")

        monkeypatch.setattr(first, "inpaint", fail)
        with pytest.raises(BackendError, match="gone"):
            pool.inpaint(*scenes[0])
        with pytest.raises(BackendError, match="closed"):
            Inpainter.inpaint(first, *scenes[0])
        np.testing.assert_array_equal(pool.inpaint(*scenes[0]).image, expected[0])


def test_closing_a_pool_waits_for_calls_and_refuses_those_that_wait(
    scenes: list[Scene], expected: list[np.ndarray]
) -> None:
    pool = InpainterPool(1, **SETTINGS, options=OPTIONS)
    held = Held(pool._free[0])
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(pool.inpaint, *scenes[0])
        assert held.entered.wait(20)
        waiting = threads.submit(pool.inpaint, *scenes[1])
        closing = [threads.submit(pool.close) for _ in range(2)]
        with pytest.raises(BackendError, match="Pool is closed"):
            waiting.result(20)
        assert not any(close.done() for close in closing)
        held.go.set()
        np.testing.assert_array_equal(first.result(20).image, expected[0])
        for close in closing:
            close.result(20)
    with pytest.raises(BackendError, match="Pool is closed"):
        pool.inpaint(*scenes[0])


def test_what_cannot_be_opened_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="from 1 up"):
        InpainterPool(0)
    made: list[Inpainter] = []

    class Second(Inpainter):
        def __init__(self, **settings) -> None:
            if made:
                raise BackendError("no memory for another")
            super().__init__(**settings)
            made.append(self)

    monkeypatch.setattr(pools, "Inpainter", Second)
    with pytest.raises(BackendError, match="no memory"):
        InpainterPool(2, **SETTINGS)
    with pytest.raises(BackendError, match="closed"):
        made[0].warmup([64])


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools.os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)
    assert [threads_each(workers) for workers in (1, 2, 3, 16)] == [None, 4, 2, 1]
