"""``iic-rt remove --workers``: several processes do what one does, and outlive what kills one of them."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iic_rt.cli.arguments import share_threads
from iic_rt.cli.main import main
from iic_rt.image_io import write_image
from tests.cli.small_workers import DIES, DIES_ONCE, WAITS

ROOT = Path(__file__).parents[2]


def add_image(folder: Path, name: str, first: int = 0, *, empty: bool = False) -> None:
    """An image and its mask; ``first`` says what becomes of its worker."""
    pixels = np.random.default_rng(len(name)).integers(0, 256, (60, 70, 3), np.uint8)
    pixels[0, 0] = first
    mask = np.zeros((60, 70), np.uint8)
    mask[20:40, 20:40] = 0 if empty else 255
    for kind, content in (("images", pixels), ("masks", mask)):
        (folder / kind).mkdir(exist_ok=True)
        write_image(folder / kind / f"{name}.png", content)


def start(folder: Path, *more: str, out: str = "out", **settings: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.cli.small_workers", "remove", str(folder / "images"), str(folder / "masks")]
    return subprocess.Popen(
        [*command, "-o", str(folder / out), "--json", *more],
        cwd=ROOT,
        env=os.environ | {"DIED": str(folder / "died")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, Any, list[str]]:
    """Exit status, JSON without what differs from run to run, lines of standard error."""
    out, err = process.communicate(timeout=120)
    report = json.loads(out)
    for entry in report["results"]:
        del entry["timings"], entry["out"]
    return process.returncode, report, sorted(err.splitlines())


def test_two_workers_do_what_one_does(tmp_path: Path) -> None:
    for name in ("a", "bb", "ccc", "dddd"):
        add_image(tmp_path, name)
    add_image(tmp_path, "empty", empty=True)
    (tmp_path / "images" / "bb.png").write_bytes(b"no image")
    (tmp_path / "masks" / "ccc.png").unlink()
    one = outcome(start(tmp_path, "--confidence", str(tmp_path / "confidence"), out="one"))
    two = outcome(start(tmp_path, "--workers", "2", "--iterations-strip", str(tmp_path / "strips"), out="two"))
    assert two == one
    status, report, said = two
    assert status == 1
    assert [len(report["results"]), len(report["failed"]), len(said)] == [3, 2, 3]
    written = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert written == ["a.png", "dddd.png", "empty.png"] == sorted(p.name for p in (tmp_path / "two").iterdir())
    assert {p.name for p in (tmp_path / "strips").iterdir()} == set(written)
    for name in written:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    for name, first in {"a": DIES_ONCE, "b": DIES, "c": 0, "d": 0}.items():
        add_image(tmp_path, name, first)
    status, report, said = outcome(start(tmp_path, "--workers", "2"))
    assert status == 1
    assert (tmp_path / "died").exists()
    assert [Path(entry["image"]).stem for entry in report["results"]] == ["a", "c", "d"]
    (failed,) = report["failed"]
    assert failed["image"].endswith("b.png")
    assert "b.png failed 2 times: its worker was killed (signal 9)" in failed["error"]
    assert said == [f"iic-rt: error: {failed['error']}"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupt_ends_all_and_leaves_no_unfinished_file(tmp_path: Path, name: str) -> None:
    for image in ("a", "b", "c"):
        add_image(tmp_path, image, WAITS)
    process = start(tmp_path, "--workers", "2", start_new_session=True)
    until = time.monotonic() + 120
    while not (tmp_path / "died").exists() and time.monotonic() < until:
        time.sleep(0.05)
    number = getattr(signal, name)
    os.killpg(process.pid, number)  # as a terminal does
    out, err = process.communicate(timeout=50)  # which waits for all that hold the pipes
    assert process.returncode == 128 + number
    assert out == ""
    assert err == "iic-rt: interrupted; images written so far are complete\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_an_inpainter_that_cannot_be_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        add_image(tmp_path, name)
    told = ["remove", str(tmp_path / "images"), str(tmp_path / "masks"), "-o", str(tmp_path / "out")]
    assert main([*told, "--workers", "2", "--bundle", "nothing"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("iic-rt: error: ")
    assert "shipped bundle" in err
    assert "Traceback" not in err
    with pytest.raises(SystemExit, match="2"):
        main([*told, "--workers", "0"])
    assert "'0' is no whole number from 1 up" in capsys.readouterr().err


@pytest.mark.parametrize(("workers", "threads", "expected"), [(1, None, None), (1000, None, 1), (3, 5, 5)])
def test_the_cores_are_shared(workers: int, threads: int | None, expected: int | None) -> None:
    arguments = argparse.Namespace(workers=workers, threads=threads)
    share_threads(arguments)
    assert arguments.threads == expected


def test_one_worker_needs_no_processes() -> None:
    code = "import sys, iic_rt.cli.main; print('iic_rt.cli.workers' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
