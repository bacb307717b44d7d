"""Memory that runs out: the command ends with one line and status 1, or it has been enough."""

from __future__ import annotations

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.command import ended_well, ended_with_one_line, one_image, run

LIMITS = (60, 150, 250, 400, 600, 4000)  # MiB of addresses
OPENBLAS = "OpenBLAS error: Memory allocation still failed after 10 retries, giving up."  # it ends the program itself


def test_any_limit(folder: Path, right: bytes, tmp_path: Path) -> None:
    def limited(mib: int) -> str:
        out = tmp_path / str(mib)
        out.mkdir()

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))

        done = run(one_image(folder, out / "o.png"), preexec_fn=limit, env={"OPENBLAS_NUM_THREADS": "1"})
        there = [path.read_bytes() for path in out.iterdir()]
        if ended_well(done) and there == [right]:
            return "done"
        is_told = ended_with_one_line(done) or (done.returncode, done.stderr.strip()) == (1, OPENBLAS)
        if is_told and there == []:
            return "failed"
        return f"{mib} MiB: {done.returncode}, {len(there)} files, {done.stderr[-1500:]}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(LIMITS, pool.map(limited, LIMITS), strict=True))
    assert found[LIMITS[0]] == "failed"
    assert found[LIMITS[-1]] == "done"
    assert set(found.values()) == {"failed", "done"}
