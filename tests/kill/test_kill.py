"""Killed before any system call, a program leaves what was there before or what was to be written, and no third thing.

The suite kills at some calls; ``python -m tests.kill`` does at all.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kill.calls import Call, can_trace, disorder
from tests.kill.scenarios import HERE, PART, SCENARIOS, Scenario, Workshop, old_file

pytestmark = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to use it")
# Calls by scenario, as far as the time of a start allows.
ALL = re.compile("")
SAMPLE = {
    "file": ALL,
    "file that is there": ALL,
    "engine": re.compile("rename|fsync"),
    "bundle": re.compile("rename"),
    "bundle that is there": re.compile("rename|mkdir|unlink"),
    "image that is there": re.compile("rename"),
    "video that is there": re.compile("rename"),
    "video that goes on": re.compile("rename|unlink"),
}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_kill_leaves_the_old_or_the_new(name: str, tmp_path: Path) -> None:
    if name.startswith("video"):
        pytest.importorskip("av")
    workshop = Workshop(SCENARIOS[name], tmp_path / "kill")
    assert disorder(workshop.calls, SCENARIOS[name].part) == []
    calls = [call for call in workshop.calls if SAMPLE[name].match(call.name)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(workshop.kill, calls))
    assert [each for wrong, _ in found for each in wrong] == []
    assert [each for each, (_, met) in zip(calls, found, strict=True) if not met] == []


IN_PLACE = f"""
with open("{HERE}/file", "wb", buffering=0) as file:
    file.write(b"first half, ")
    file.write(b"second half")
"""


def test_a_file_that_is_written_in_place_is_found(tmp_path: Path) -> None:
    workshop = Workshop(Scenario(["-c", IN_PLACE], ["file"], old_file), tmp_path / "kill")
    assert [each.name for each in workshop.calls] == ["openat", "write", "write"]
    second = workshop.calls[2]
    assert workshop.kill(second) == ([f"{second}: file is neither the old one nor the new one"], True)


def call(name: str, *paths: str, flags: str = "") -> Call:
    return Call(name, 1, tuple(map(Path, paths)), flags, Path())


PARTIAL = "/o/.iic-rt-1-a.part"
GOOD = [
    call("openat", PARTIAL, flags="O_CREAT"),
    call("write", PARTIAL),
    call("fsync", PARTIAL),
    call("rename", PARTIAL, "/o/a"),
    call("fsync", "/o"),
]


def test_the_order_that_a_power_cut_needs() -> None:
    assert disorder(GOOD, PART) == []
    without = [each for each in GOOD if each.name != "fsync"]
    assert disorder(without, PART) == [
        f"{Path(PARTIAL).name} gets its name a unsynced",
        "the name a is never synced",
    ]
    late = [*GOOD[:3], call("write", PARTIAL), *GOOD[3:]]
    assert disorder(late, PART) == [f"{Path(PARTIAL).name} gets its name a unsynced"]
    early = [*GOOD[:4], call("unlink", "/o/a.part1"), *GOOD[4:]]
    assert disorder(early, PART) == ["a.part1 is removed while the name a is unsynced"]
