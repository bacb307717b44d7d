"""Images for the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.command import ended_well, one_image, run
from tests.kill.scenarios import images


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images with their masks."""
    folder = tmp_path_factory.mktemp("faults")
    images(folder)
    return folder


@pytest.fixture(scope="session")
def right(folder: Path) -> bytes:
    """The result of the first image, where nothing is wrong."""
    assert ended_well(run(one_image(folder, folder / "right.png")))
    return (folder / "right.png").read_bytes()
