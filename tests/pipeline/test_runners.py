"""Runners and loops are kept for the next region of their size, as far as memory goes."""

from __future__ import annotations

import pytest

from iic_rt import InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.bundle.manifest import load_bundle
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


def test_runners_go_with_their_loop(kept: Runners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "LARGEST_LOOP", 128)
    first = kept.runner(96, channels=3, options=PLAIN, slot=0)
    assert kept.runner(96, channels=3, options=PLAIN, slot=0) is first
    take(kept, 128)
    assert kept.runner(96, channels=3, options=PLAIN, slot=0) is not first
