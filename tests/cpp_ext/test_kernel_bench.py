"""What of the measurement runs without a GPU does what it says."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cpp_ext.bench import device, kernel_bench
from cpp_ext.bench.counts import Peaks
from cpp_ext.bench.kernel_bench import Step, run_steps
from cpp_ext.bench.timing import copies_needed
from cpp_ext.kernel_library import KernelLibrary, host_compiler_works
from iic_rt.patches import MATCH_STEPS


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kernels.json"
    monkeypatch.setattr(sys, "argv", ["kernel_bench", "--out", str(out)])
    with pytest.raises(SystemExit):
        kernel_bench.main()
    assert "sees no GPU" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("holes", kernel_bench.HOLES)
def test_the_timed_images_are_those_of_the_runtime(holes: float) -> None:
    given = kernel_bench.image(holes, "float16")
    assert given.q.shape == (1, 4096, 76)
    assert given.q.dtype == np.float16
    assert given.hole.mean() == pytest.approx(holes, rel=0.15)
    np.testing.assert_array_equal(given.weight, 1 - given.hole)
    assert given.best == 1


def test_regions_are_whole_patches() -> None:
    for side in kernel_bench.SIDES:
        assert side % 64 == 0
        assert side // 64 >= 2


def test_the_checked_cases_reach_every_kernel() -> None:
    cases = kernel_bench.CHECKED_SEARCH
    for is_long in (False, True):
        for best in (1, 4):  # the lists that are built
            lengths = [d for _, d, b in cases if min(b, 2) == min(best, 2) and d <= 128]
            assert any((d > 80) == is_long for d in lengths)  # the instances of the tensor-core kernel
    assert any(d > 128 for _, d, _ in cases)  # the scalar kernel in float16
    assert {len(steps) % 2 for _, _, steps in kernel_bench.CHECKED_MATCH} == {0, 1}  # the workspace is written or not
    widths = [grid[2] * p for grid, _, p, _ in kernel_bench.CHECKED_REPLACE]
    assert {width % 2 for width in widths} == {0, 1}  # threads of one and of two pixels


def test_the_copies_are_larger_than_the_cache() -> None:
    assert copies_needed(700_000, 50 << 20) * 700_000 >= 2 * (50 << 20)
    assert copies_needed(70_000_000, 50 << 20) == 8


def test_what_was_measured_is_saved_after_each_step_and_the_budget_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    record: dict[str, Any] = {}
    saved = []
    end = time.monotonic() + 60

    def step(name: str, result: float) -> Step:
        return Step("times", name, lambda: {"roofline_ms": 0.5, "kernel_ms": {"p50": result}})

    def save() -> None:
        saved.append(len(record.get("times", [])))

    run_steps([step("a", 1.0), step("b", 2.0)], record, save, deadline=end)
    assert saved == [1, 2, 2]
    assert "b: kernel 2.0000 ms; roofline 0.5000" in capsys.readouterr().out
    run_steps([step("c", 1.0)], record, save, deadline=time.monotonic())
    assert (len(record["times"]), record["left_out"]) == (2, ["c"])


def test_a_step_that_fails_leaves_what_was_saved() -> None:
    record: dict[str, Any] = {}
    saved = []

    def fail() -> dict[str, Any]:
        raise AssertionError("differs")

    steps = [Step("times", "a", lambda: {"kernel_ms": {"p50": 1.0}}), Step("times", "b", fail)]
    with pytest.raises(AssertionError):
        run_steps(steps, record, lambda: saved.append(len(record["times"])), deadline=time.monotonic() + 60)
    assert saved == [1]


def test_float16_and_every_size_of_the_runtime_are_timed() -> None:
    steps = kernel_bench.make_steps(None, dict.fromkeys(kernel_bench.TYPES, Peaks(1.0, 1.0)), 1)  # type: ignore[arg-type]
    names = [step.of for step in steps]
    assert len(set(names)) == 2 * (5 + 5 + 6 * 5)
    assert names[0] == "search float16 holes 1%"
    assert "match float16 holes 60%" in names
    assert "replace float16 side 896 holes 60%" in names


@pytest.fixture
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> KernelLibrary:
    """The measurement with the kernels under the host shim, at small sizes; calls are made and not timed."""
    if not host_compiler_works():
        pytest.skip("needs g++ 12 or newer (13 on Arm)")
    library: KernelLibrary = request.getfixturevalue("library")

    def call_once(calls: list[Any], **_: Any) -> dict[str, float]:
        calls[0]()
        return {"p50": 1.0}

    monkeypatch.setattr(device, "DEVICE", "cpu")
    monkeypatch.setattr(device, "_stream", lambda: 0)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(kernel_bench, "milliseconds", call_once)
    monkeypatch.setattr(kernel_bench, "cache_bytes", lambda: 1)
    monkeypatch.setattr(kernel_bench, "GRID", (1, 6, 6))
    monkeypatch.setattr(kernel_bench, "PATCHES", 36)
    monkeypatch.setattr(kernel_bench, "CHECKED_SEARCH", [((1, 4, 5), 3, 1), ((1, 6, 6), 5, 2)])
    monkeypatch.setattr(kernel_bench, "CHECKED_MATCH", [((1, 2, 3), 3, (2, 1))])
    monkeypatch.setattr(kernel_bench, "CHECKED_REPLACE", [((1, 2, 2), 3, 2, 1)])
    return library


def test_the_measurement_runs_under_the_host_shim(host: KernelLibrary) -> None:
    assert len(kernel_bench.check_all(host)) == 2 * (2 * 4 + 2 + 2 * 4 + 4)
    peaks = Peaks(flops=1e9, bytes=1e9)
    search = kernel_bench.time_search(host, 0.3, "float16", peaks, 1)
    assert search["rows"] == 9
    assert search["bytes"] == 36 * 76 * 2 + 20 * 36
    matched = kernel_bench.time_match(host, 0.3, "float16", peaks, 1)
    assert (matched["patches"], matched["steps"]) == (9, list(MATCH_STEPS))
    replaced = kernel_bench.time_replace(host, 24, 0.3, "float16", peaks, 1)  # equal to torch, or it raises
    assert (replaced["inside"], replaced["missing"]) == (144, 0)
    for result in (search, matched, replaced):
        assert {"kernel_ms", "kernel_launched_ms", "torch_graph_ms", "torch_ms"} <= set(result)
        assert result["roofline_ms"] > 0


def test_a_wrong_kernel_is_not_timed(host: KernelLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.MatchCase, "enqueue", lambda case: case.cost.zero_())
    with pytest.raises(AssertionError):
        kernel_bench.time_match(host, 0.3, "float32", Peaks(1.0, 1.0), 1)
    monkeypatch.setattr(device.ReplaceCase, "enqueue", lambda case: case.mixed.copy_(case.detail))
    with pytest.raises(AssertionError):
        kernel_bench.time_replace(host, 24, 0.3, "float32", Peaks(1.0, 1.0), 1)
