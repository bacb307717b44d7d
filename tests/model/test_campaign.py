"""The campaign's command: it starts, pauses, is killed, goes on, and ends early on a copy."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "training" / "campaign.sh"
QUICK = ["--stage", "32:4:1.0", "--no-compile", "--validation", "4", "--device", "cpu"]

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("bash", "setsid", "chrt", "nohup")), reason="needs bash and util-linux"
)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("nothing happened for two minutes")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.fixture
def programs(tmp_path: Path) -> str:
    """PATH with a ``chrt`` that leaves the priority as it is: at the lowest a test would wait for all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    chrt = folder / "chrt"
    chrt.write_text('#!/bin/sh\n[ "$1 $2" = "--idle 0" ] || exit 9\nshift 5\nexec "$@"\n')  # and without nice -n 19
    chrt.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_start_pause_kill_resume_and_finish(shards: Path, tmp_path: Path, programs: str) -> None:
    run, release = tmp_path / "campaign", tmp_path / "release"
    milestone = tmp_path / "milestone.safetensors"
    environment = os.environ | {"CAMPAIGN": str(run), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    environment |= {"MILESTONE": str(milestone), "PATH": programs}

    def campaign(*arguments: str) -> str:
        command = ["bash", str(SCRIPT), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log() -> str:
        return (run / "train.log").read_text()

    try:
        assert "started" in campaign("start", str(shards), *QUICK)
        assert "running already" in campaign("start", str(shards), *QUICK)
        wait_for(lambda: "step 20" in log())
        pid = int((run / "pid").read_text())
        campaign("pause")
        wait_for(lambda: state_of(pid) == "T")
        campaign("continue")
        wait_for(lambda: state_of(pid) != "T")
        campaign("stop")
        assert (run / "state.safetensors").exists()
        assert "not running" in campaign("status")
        campaign("milestone")
        assert milestone.stat().st_size < 10e6
        campaign("start", str(shards), *QUICK)
        wait_for(lambda: "resumed at step" in log())
        os.killpg(int((run / "pid").read_text()), signal.SIGKILL)
        wait_for(lambda: "not running" in campaign("status"))
        shutil.move(run, tmp_path / "lost")
        campaign("start", str(shards), *QUICK)
        wait_for(lambda: "began from" in log() and "min left" in log())
        campaign("stop")
        campaign("finish", str(shards), str(release), "0.01", *QUICK)
        wait_for(lambda: (release / "best.safetensors").exists())
    finally:
        for folder in (run, release):
            if (folder / "pid").exists():
                subprocess.run(["pkill", "-KILL", "-g", (folder / "pid").read_text().strip()], check=False)
    last = [json.loads(line) for line in (release / "log.jsonl").read_text().splitlines()][-1]
    assert last["step"] > 0
    assert "psnr_t4" in last


def test_what_crashed_ranks_leave_behind_is_no_campaign(tmp_path: Path, programs: str) -> None:
    """A loader whose rank crashed may live on, deaf to SIGTERM."""
    run, python, left = tmp_path / "campaign", tmp_path / "python", tmp_path / "left"
    python.write_text(f"#!/bin/sh\ntrap '' TERM\nsleep 300 &\necho $! >> {left}\nexit 139\n")
    python.chmod(0o755)
    variables = {"CAMPAIGN": str(run), "PYTHON": str(python), "MILESTONE": str(tmp_path / "none"), "PATH": programs}

    def campaign(*arguments: str) -> str:
        command = ["bash", str(SCRIPT), *arguments]
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    ranks = min(os.cpu_count() or 1, 2)
    try:
        campaign("start", str(tmp_path))
        wait_for(lambda: left.exists() and len(left.read_text().split()) == ranks)
        loaders = [int(pid) for pid in left.read_text().split()]
        wait_for(lambda: "not running" in campaign("status"))
        assert all(state_of(pid) == "S" for pid in loaders)
        assert "started" in campaign("start", str(tmp_path))
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() and state_of(pid) != "Z" for pid in loaders))
    finally:
        subprocess.run(["pkill", "-KILL", "-g", (run / "pid").read_text().strip()], check=False)


def test_wrong_words_show_the_usage() -> None:
    done = subprocess.run(["bash", str(SCRIPT), "begin"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "campaign.sh start DATA" in done.stderr
