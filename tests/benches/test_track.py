from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from benchmarks.track import main
from tests.conftest import add, png
from tests.video.scenes import background, with_object


def test_a_table_of_sequences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(tmp_path / "video.tar", "w") as tar:
        for i in range(14):
            frame, mask = with_object(background(), 30 + 2 * i, 60)
            add(tar, f"walk/frames/{i:05}.jpg", png(frame, ".jpg"))
            add(tar, f"walk/masks/{i:05}.png", png(mask))
    assert main(["--video", str(tmp_path / "video.tar")]) == 0
    head, rule, row = capsys.readouterr().out.splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    cells = [c.strip() for c in row.strip("|").split("|")]
    assert cells[:2] == ["walk", "14"]
    assert float(cells[2]) > 0.85
    assert float(cells[4]) > 0.97
    assert cells[-1] == "never"
