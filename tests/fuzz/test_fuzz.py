"""The fuzzer finds nothing in a short time, finds what is there, and what it found once stays mended."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzzing
from tests.fuzz import targets

FOUND = sorted(path for path in (Path(__file__).parent / "found").iterdir() if path.suffix != ".md")
SECONDS = 1  # a target; `python -m tests.fuzz` takes longer
needs_atheris = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is missing")


@pytest.mark.parametrize("target", targets.TARGETS)
def test_seeds_pass(target: str) -> None:
    for seed in targets.seeds(target):
        targets.TARGETS[target](seed)
        targets.TARGETS[target](seed[: len(seed) // 2])


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_stays_mended(path: Path) -> None:
    target = next(name for name in targets.TARGETS if path.name.startswith(f"{name}-"))
    targets.TARGETS[target](path.read_bytes())


@needs_atheris
@pytest.mark.parametrize("target", targets.TARGETS)
def test_nothing_is_found(target: str, tmp_path: Path) -> None:
    count, status = fuzzing.fuzz(target, SECONDS, tmp_path)
    assert status == 0
    assert count > 10
