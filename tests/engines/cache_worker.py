"""A process that asks the cache for an engine; test_cache.py runs several and kills some.

    python -m tests.engines.cache_worker FOLDER WAY

Every build adds a line to FOLDER/builds. WAY says what happens then: ``build`` ends, ``wait`` ends when FOLDER/go is
there, ``die-writing`` and ``die-between`` kill the process before the engine and before its JSON get their names.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

from iic_rt import files
from iic_rt.engines.cache import EngineCache, EngineKey

ENGINE = bytes(range(256)) * 64


def key(**changes: object) -> EngineKey:
    facts = {
        "graph": "step",
        "graph_sha256": "0" * 64,
        "precision": "fp16",
        "shapes": {"y": (1, 3, 8, 8), "first": (1,)},
        "target": "tensorrt",
        "version": "10.3.0",
        "compute_capability": "8.7",
        "plugin_sha256": None,
        "options": {"workspace_mib": None},
    }
    return EngineKey(**{**facts, **changes})


def main(folder: Path, way: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    def build() -> bytes:
        with (folder / "builds").open("a") as file:
            file.write(f"{os.getpid()}\n")
        while way == "wait" and not (folder / "go").exists():
            time.sleep(0.01)
        return ENGINE

    renames = {"die-writing": 1, "die-between": 2}.get(way, 0)
    rename, done = os.replace, []

    def replace(source: str, target: Path) -> None:
        done.append(target)
        if len(done) == renames:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    files.os.replace = replace
    assert EngineCache(folder / "cache").get(key(), build) == ENGINE


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
