"""Runs of one comparison: those that are finished are not trained again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from training import compare


def log(run: Path, *lines: dict[str, float]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_only_runs_that_are_not_finished_are_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    validated = {"progress": 1.0, "best": 18.0}
    log(tmp_path / "all", {"progress": 0.9}, validated)
    log(tmp_path / "drawn", validated | {"progress": 0.5}, {"progress": 0.6})  # stopped behind a validation
    log(tmp_path / "prefill", {"progress": 0.5, "best": 17.0})
    trained: list[str] = []
    monkeypatch.setattr(compare, "train", lambda name, *_: trained.append(name))
    names = ["all", "drawn", "prefill", "attention"]
    told = ["--data", "nowhere", "--out", str(tmp_path), "--at-once", "1", "--recipes", *names]
    assert compare.main(told) == 0
    assert trained == ["drawn", "prefill", "attention"]


def test_a_discriminator_joins_halfway() -> None:
    options = argparse.Namespace(samples=6000)
    for name in ("gated-like", "global-local-like"):
        clock = compare.clock_of(compare.PAPER[name], options)
        assert clock == ["--samples", "6000", "--adversarial-from", "3000"]
    assert compare.clock_of(compare.PAPER["realistic"], options) == ["--samples", "6000"]
