"""File systems that are small or read-only, for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.command import ended_well, ended_with_one_line, one_image, run
from tests.faults.mounts import LEFT, can_mount, mounted, read_only

pytestmark = pytest.mark.skipif(not can_mount(), reason="needs root, or user namespaces")


def left(printed: str) -> list[str]:
    return printed.split(f"{LEFT}\n")[1].split()


@pytest.mark.parametrize(("kib", "fits"), [(8, False), (64, True)])
def test_a_full_disk(folder: Path, tmp_path: Path, kib: int, fits: bool) -> None:
    done = run(one_image(folder, tmp_path / "o.png"), *mounted(tmp_path, f"size={kib}k"))
    assert left(done.stdout) == ["o.png"] * fits
    assert fits or "No space left on device" in done.stderr
    assert ended_well(done) if fits else ended_with_one_line(done)


def test_no_more_names(folder: Path, tmp_path: Path) -> None:
    done = run(one_image(folder, tmp_path / "o.png"), *mounted(tmp_path, "nr_inodes=1"))
    assert left(done.stdout) == []
    assert ended_with_one_line(done)


def test_a_folder_that_is_read_only(folder: Path, tmp_path: Path) -> None:
    done = run(one_image(folder, tmp_path / "o.png"), *mounted(tmp_path, "ro"))
    assert ended_with_one_line(done)
    assert f"cannot write {tmp_path}/o.png: " in done.stderr
    assert "may not be written to" in done.stderr


def test_all_but_the_results_is_read_only(folder: Path, right: bytes, tmp_path: Path) -> None:
    """As on a kiosk: no home, no folder for temporary files."""
    done = run(one_image(folder, tmp_path / "o.png"), *read_only(tmp_path), env={"HOME": "/", "TMPDIR": "/"})
    assert ended_well(done)
    assert (tmp_path / "o.png").read_bytes() == right
