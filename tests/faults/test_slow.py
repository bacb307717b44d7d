"""A tenth of a core: it takes longer, and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.faults.command import PYTHON, ROOT, one_image

FREE = 0.3  # seconds: to import modules
PERIOD, SHARE = 0.1, 0.1  # seconds, of a core


def test_a_tenth_of_a_core(folder: Path, right: bytes, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PYTHON, *one_image(folder, tmp_path / "o.png"), "--iterations", "4", "--budget-ms", "1"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(FREE)
    with contextlib.suppress(ProcessLookupError):
        while process.poll() is None:
            process.send_signal(signal.SIGCONT)
            time.sleep(PERIOD * SHARE)
            process.send_signal(signal.SIGSTOP)
            time.sleep(PERIOD * (1 - SHARE))
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"1 iterations" in out
    assert (tmp_path / "o.png").read_bytes() == right
