"""Small programs that write: ``python -m tests.kill.programs NAME FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from iic_rt.files import remove_stale, write_bytes

__all__ = ["PROGRAMS"]

CONTENT = bytes(range(256)) * 1200


def write_file(folder: Path) -> None:
    remove_stale(folder)
    write_bytes(folder / "file", CONTENT)


def build_engine(folder: Path) -> None:
    from iic_rt.engines.cache import EngineCache
    from tests.engines.cache_worker import ENGINE, key

    assert EngineCache(folder / "cache").get(key(), lambda: ENGINE) == ENGINE


def replace_folder(folder: Path) -> None:
    from export.folders import replacing_folder

    with replacing_folder(folder / "bundle") as new:
        (new / "graph").write_bytes(CONTENT)
        (new / "more").mkdir()
        (new / "more" / "card").write_bytes(b"new")


def save_weights(folder: Path) -> None:
    import torch

    from training.checkpoint import save_state

    remove_stale(folder)
    save_state(folder / "state", {"a": torch.arange(5000.0)}, {"step": 3})


PROGRAMS: dict[str, Callable[[Path], None]] = {
    "file": write_file,
    "engine": build_engine,
    "bundle": replace_folder,
    "weights": save_weights,
}


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
