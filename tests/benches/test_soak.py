"""A soak shorter than ``python -m benchmarks.soak``: nothing is left over, and it says so when something is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import soak
from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import InputError
from iic_rt.pipeline.runner import RegionRunner
from iic_rt.pipeline.runners import Runners

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
ROOT = Path(__file__).parents[2]
SHORT = ["--longest", "80", "--every", "10", "--out"]


def run(frames: int, out: Path) -> dict[str, Any]:
    """The summary of a soak in a process of its own: files and threads of other tests come and go."""
    command = [sys.executable, "-m", "benchmarks.soak", "--frames", str(frames), *SHORT, str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr  # memory has not settled so soon
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_short_soak_leaves_nothing_over_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out = tmp_path / "folder" / "soak.jsonl"
    assert run(100, out)["frames"] == 100
    with out.open("a") as file:
        file.write('{"frames": 1')  # as a kill leaves it
    found = run(160, out)
    assert (found["frames"], found["runs"], found["changed"]) == (160, 2, 0)
    assert found["refused"] >= 160 // soak.WRONG_EVERY
    assert (found["grown"]["open_files"], found["grown"]["threads"]) == (0, 0)
    windows = [json.loads(line) for line in out.read_text().splitlines()[1:]]
    assert [window["frames"] for window in windows] == list(range(10, 161, 10))
    assert all(window["p99_ms"] >= window["p50_ms"] > 0 for window in windows)
    with pytest.raises(SystemExit):
        soak.main(["--frames", "160", "--working-size", "96", *SHORT, str(out)])


def test_calls_are_of_all_kinds_and_the_same_again() -> None:
    calls = [soak.draw(number, 96) for number in range(400)]
    assert {call["image"].shape[2:] for call, _ in calls} == {(), (1,), (3,), (4,)}
    assert len({call["image"].shape[:2] for call, _ in calls}) > 300
    assert len({call["options"] for call, _ in calls}) > 200
    assert sum(wrong for _, wrong in calls) == 400 // soak.WRONG_EVERY
    assert any("avoid" in call for call, _ in calls)
    assert any("prefer" in call for call, _ in calls)
    again = soak.draw(7, 96)[0]
    np.testing.assert_array_equal(again["image"], calls[7][0]["image"])


def test_what_a_region_needs_is_met_before_frames_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def kinds(calls: Iterable[dict[str, Any]]) -> set[Any]:
        found = set()

        def runner(_self: Runners, side: int, *, channels: int, options: InpaintOptions, slot: int) -> RegionRunner:
            found.add((side, channels, options.upsample, options.channel_order == "bgr" and channels != 1))
            raise Asked

        monkeypatch.setattr(Runners, "runner", runner)
        with Inpainter(backend="onnxruntime", working_size=64) as inpainter:
            for call in calls:
                with suppress(InputError, Asked):
                    inpainter.inpaint(**call)
        return found

    met = kinds(soak.every_kind(96, 64))
    drawn = kinds(soak.draw(number, 96)[0] for number in range(800))
    assert drawn <= met
    assert len(drawn) > 12


def windows_of(count: int, **change: Any) -> list[dict[str, Any]]:
    """Even windows, but for what is given as a function of the window's number."""
    even = {"refused": 1, "changed": 0, "p50_ms": 2.0, "p99_ms": 5.0, "resident_mib": 100.0}
    even |= {"open_files": 9, "threads": 4}
    return [
        {"run": 0, "frames": n + 1, **even, **{name: value(n) for name, value in change.items()}} for n in range(count)
    ]


@pytest.mark.parametrize(
    ("change", "ok"),
    [
        ({}, True),
        ({"resident_mib": lambda n: 100 + min(n, 10) * 30}, True),  # the warm-up
        ({"resident_mib": lambda n: 100 + n / 5}, True),  # 16 MiB from window 19 on
        ({"resident_mib": lambda n: 100 + n / 4}, False),
        ({"open_files": lambda n: 9 + n // 50}, False),
        ({"threads": lambda n: 4 + n // 99}, False),
        ({"changed": lambda n: int(n == 3)}, False),
    ],
)
def test_what_is_left_over_is_found(change: dict[str, Any], ok: bool) -> None:
    assert soak.summary(windows_of(100, **change))["ok"] is ok


def test_times_of_the_first_and_of_the_last_tenth() -> None:
    found = soak.summary(windows_of(100, p99_ms=lambda n: 5.0 if n < 90 else 8.0))
    assert (found["p50_ms"], found["p99_ms"]) == ([2.0, 2.0], [5.0, 8.0])
    assert soak.summary([])["frames"] == 0


class Wrong:
    """Takes every argument, and changes a known pixel."""

    def __init__(self, inpainter: Any) -> None:
        self._inpainter = inpainter

    def inpaint(self, **call: Any) -> Any:
        call["mask"] = np.resize(call["mask"], call["image"].shape[:2])
        result = self._inpainter.inpaint(**call)
        result.image[result.hole == 0] ^= 1
        return result


def test_a_wrong_result_is_counted(inpainter: Any) -> None:
    windows: list[dict[str, Any]] = []
    soak.soak(Wrong(inpainter), frames=20, every=20, longest=48, write=windows.append)  # type: ignore[arg-type]
    assert windows[0]["changed"] + windows[0]["refused"] == 20
    assert windows[0]["changed"] > 15


def test_a_file_of_another_soak_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soak.jsonl"
    assert soak.read_lines(path, {"backend": "onnxruntime"}) == []
    with pytest.raises(InputError, match="other settings"):
        soak.read_lines(path, {"backend": "openvino"})
