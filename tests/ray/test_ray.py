"""examples/ray_folder.py on two nodes: actors that are killed, bad files, and results that are there already."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from iic_rt.image_io import read_image
from tests.cli.small_workers import DIES, DIES_ONCE
from tests.cli.test_workers import add_image

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv" / "ray"


def test_a_folder_on_two_nodes(tmp_path: Path) -> None:
    if not (HOME / "ready").exists():
        pytest.skip("Ray is not installed: make .venv/ray/ready")
    for name, first in {"once": DIES_ONCE, "always": DIES, "bad": 0, "there": 0, "c": 0, "d": 0, "e": 0}.items():
        add_image(tmp_path, name, first)
    (tmp_path / "images" / "bad.png").write_bytes(b"no image")
    for name in ("out", "nodes"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "there.png").write_bytes(b"of an earlier run")
    folders = [str(tmp_path / name) for name in ("nodes", "images", "masks", "out")]
    done = subprocess.run(
        [str(HOME / "bin" / "python"), "-m", "tests.ray.cluster", *folders],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DIED": str(tmp_path / "died")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "not written: always.png, bad.png" in done.stderr
    said = {line for line in done.stdout.splitlines() if ".png: " in line}
    written = {"once.png", "c.png", "d.png", "e.png"}
    assert said >= {f"{name}: written" for name in written} | {"there.png: was there"}
    assert any(line.startswith("bad.png: error: ") and "is not an image" in line for line in said)
    assert (tmp_path / "died").exists()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*written, "there.png"}
    assert (tmp_path / "out" / "there.png").read_bytes() == b"of an earlier run"
    for name in written:
        before, after = (read_image(tmp_path / folder / name) for folder in ("images", "out"))
        np.testing.assert_array_equal(after[:10], before[:10])
        assert (after[20:40, 20:40] != before[20:40, 20:40]).any()
    assert len(list((tmp_path / "nodes").iterdir())) == 2
