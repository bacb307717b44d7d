"""Runners and loops are kept for the next region of their size, as far as memory goes."""

from __future__ import annotations

from typing import Any

import pytest

from iic_rt import InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.bundle.manifest import load_bundle
from iic_rt.bundle.shapes import Limits
from iic_rt.contract import Buffer
from iic_rt.pipeline import runners
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.runners import Runners

SIZE = 64
PLAIN = InpaintOptions(upsample=False)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Working sizes of the loops that were made."""
    sizes: list[int] = []

    def counted(backend: OnnxRuntimeBackend, *, working_size: int) -> Loop:
        sizes.append(working_size)
        return Loop(backend, working_size=working_size)

    monkeypatch.setattr(runners, "Loop", counted)
    return sizes


@pytest.fixture
def kept(made: list[int]) -> Runners:
    backend = OnnxRuntimeBackend(load_bundle("edge"), precision=None, threads=1, stream=None)
    return Runners(backend, working_size=SIZE)


def take(kept: Runners, *sides: int) -> None:
    for side in sides:
        kept.runner(side, channels=3, options=PLAIN, slot=0)


def test_loops_of_several_sizes_are_kept(made: list[int], kept: Runners) -> None:
    take(kept, 96, 128, 64, 96, 128, 160)
    assert made == [SIZE, 96, 128, 160]


def test_a_large_loop_takes_the_place_of_the_oldest(
    made: list[int], kept: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "LARGEST_LOOP", 160)
    take(kept, 96, 128, 320, 96, 320, 128)  # a region of 320 pixels has a loop of 160
    assert made == [SIZE, 96, 128, 160, 96, 160, 128]


def test_a_loop_that_is_used_again_stays(made: list[int], kept: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "LARGEST_LOOP", 192)
    take(kept, 96, 128, 96, 112, 96)  # 128 was used longest ago, and has to go for 112
    assert made == [SIZE, 96, 128, 112]


def test_loops_that_together_are_as_large_as_the_largest_are_kept(
    made: list[int], kept: Runners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "LARGEST_LOOP", 160)
    take(kept, 96, 128, 96, 128)  # 96² + 128² = 160²
    assert made == [SIZE, 96, 128]


def test_runners_go_with_their_loop(kept: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "LARGEST_LOOP", 128)
    first = kept.runner(96, channels=3, options=PLAIN, slot=0)
    assert kept.runner(96, channels=3, options=PLAIN, slot=0) is first
    take(kept, 128)
    assert kept.runner(96, channels=3, options=PLAIN, slot=0) is not first


def test_runners_of_other_loops_stay(kept: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "LARGEST_LOOP", 160)
    guided = kept.runner(96, channels=3, options=InpaintOptions(), slot=0)
    gone, other = (kept.runner(side, channels=3, options=PLAIN, slot=0) for side in (96, 128))
    take(kept, 80)  # in place of the loop of 96 pixels
    assert kept.runner(96, channels=3, options=InpaintOptions(), slot=0) is guided
    assert kept.runner(128, channels=3, options=PLAIN, slot=0) is other
    assert gone not in kept._kept.values()


@pytest.mark.parametrize(("less", "running", "stays"), [(0, False, True), (1, False, False), (1, True, True)])
def test_an_idle_runner_goes_when_memory_is_short(
    kept: Runners, monkeypatch: pytest.MonkeyPatch, less: int, running: bool, stays: bool
) -> None:
    first = kept.runner(96, channels=3, options=PLAIN, slot=0)
    monkeypatch.setattr(runners, "MOST_BYTES", first.nbytes + 128 * 128 * 3 - less)
    if running:
        monkeypatch.setattr(first, "_running", ())
    take(kept, 128)
    assert (first in kept._kept.values()) is stays


def test_regions_go_whole_up_to_what_the_backend_can_hold(kept: Runners) -> None:
    options = InpaintOptions()
    assert kept.runner(96, channels=3, options=options, slot=0).runs_at_once
    kept._backend.limits = Limits(whole_pixels=96 * 96)
    assert kept.runner(96, channels=1, options=options, slot=0).runs_at_once
    assert not kept.runner(128, channels=3, options=options, slot=0).runs_at_once


@pytest.mark.parametrize(("order", "seen"), [("rgb", [1, 2, 3]), ("bgr", [3, 2, 1])])
def test_networks_see_rgb(kept: Runners, order: Any, seen: list[int]) -> None:
    runner = kept.runner(SIZE, channels=3, options=InpaintOptions(channel_order=order), slot=0)
    assert (runner._buffers.order.host @ [1, 2, 3]).tolist() == seen


@pytest.mark.parametrize("limits", [Limits(), Limits(whole_pixels=1, tile_pixels=32 * 32)])
def test_bytes_are_those_of_all_buffers(kept: Runners, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
    allocate, sizes = kept._backend.allocate, []

    def counted(*arguments: Any, **options: Any) -> Buffer:
        made = allocate(*arguments, **options)
        sizes.append(made.nbytes)
        return made

    monkeypatch.setattr(kept._backend, "allocate", counted)
    kept._backend.limits = limits
    runner = kept.runner(SIZE, channels=3, options=InpaintOptions(), slot=0)
    assert 0 <= sum(sizes) - runner.nbytes < 512  # the weights of resampling and the order of colours
