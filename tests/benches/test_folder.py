"""The benchmark of a folder runs once, on small images and with a small model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import folder
from benchmarks.folder_tables import folder_table


def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = [sys.executable, "-m", "tests.cli.small_workers"]
    missing = {"ray": tmp_path / "none", "triton": tmp_path / "none"}
    values = {"WIDTH": 96, "HEIGHT": 64, "COMMAND": small, "PYTHONS": missing}
    for name, value in values.items():
        monkeypatch.setattr(folder, name, value)
    assert folder.main(["--out", str(tmp_path / "folder.json"), "--images", "5", "--rounds", "1"]) == 0
    record = json.loads((tmp_path / "folder.json").read_text())
    assert record["bundle"]["weights_sha256"]
    assert (record["size"], record["images"], record["missing"]) == ([96, 64], 5, ["ray", "triton"])
    assert set(record["runs"]) == {"one", "workers"}
    assert record["of_one_worker"]["one"] == 1
    assert "--workers 2` | " in folder_table(record)
    assert "x one worker" in capsys.readouterr().out


def test_a_contender_that_leaves_images_out_is_no_contender(tmp_path: Path) -> None:
    images = folder.Folder(tmp_path, 1)
    images.make()
    with pytest.raises(SystemExit, match="0 of 1 images were written by true"):
        images.time(["true"])
