"""The command as people run it: small, in processes of its own, with errors that stay visible."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt.backends.registry import BACKENDS
from iic_rt.bench import __main__ as command
from iic_rt.bench.cases import Case, Scene, synthetic
from iic_rt.bench.check import Reference
from iic_rt.bench.record import problems, read_record
from iic_rt.bench.table import bars
from iic_rt.bench.worker import measure_apart
from iic_rt.errors import InputError

ROOT = Path(__file__).parents[2]
SMALL = ["--size", "96", "--working-size", "64", "--repeats", "2", "--warmup", "1", "--threads", "2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path]:
    """Exit status and folder of one run: a backend that works, one that does not, a pair, JSON and plot."""
    folder = tmp_path_factory.mktemp("bench")
    what = ["--backend", "onnxruntime:fp32", "nonsense", "--mode", "both", "--compare", "auto", "onnxruntime"]
    out = ["--json", str(folder / "deep" / "record.json"), "--plot", str(folder / "plot.png")]
    return command.main([*SMALL, *what, *out]), folder


@pytest.fixture(scope="module")
def record(made: tuple[int, Path]) -> dict[str, Any]:
    return read_record(made[1] / "deep" / "record.json")


def test_the_error_of_one_hides_neither_itself_nor_the_rest(made: tuple[int, Path], record: dict[str, Any]) -> None:
    assert made[0] == 1
    assert [("failed" in row, row["asked"]["mode"]) for row in record["cases"]] == [
        (False, "latency"),
        (False, "throughput"),
        (True, "latency"),
        (True, "throughput"),
    ]
    assert "no backend 'nonsense'" in record["cases"][2]["failed"]


def test_the_record_says_what_it_was_made_with(record: dict[str, Any]) -> None:
    assert problems(record) == []
    assert record["machine"]["backends"]["onnxruntime"]["version"]
    assert len(record["bundle"]["sha256"]) == 64
    assert "--compare auto onnxruntime" in record["command"]
    row = record["cases"][0]
    assert row["check"]["psnr_db"] == 100
    assert row["end_to_end_ms"]["n"] == 2
    assert row["host_peak_mib"] > 30
    assert 1 <= row["iterations"] == len(row["stages_ms"]["iterations"]) <= row["asked"]["iterations"]


def test_the_stages_add_up(record: dict[str, Any]) -> None:
    for row in record["cases"][:2]:
        assert sum(bars(row).values()) == pytest.approx(row["end_to_end_ms"]["mean"], abs=0.01)
        assert all(ms >= 0 for ms in bars(row).values())


def test_a_pair_names_its_winner(record: dict[str, Any]) -> None:
    (pair,) = record["comparisons"]
    assert pair["contenders"][1]["backend"] == "onnxruntime"
    assert pair["contenders"][0]["backend"] in BACKENDS  # what auto chose
    assert pair["ratio"]["p10"] <= pair["ratio"]["p50"] <= pair["ratio"]["p90"]


def test_a_record_is_shown_and_drawn_again(
    made: tuple[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = made[1] / "deep" / "record.json"
    assert command.main(["--from", str(source), "--plot", str(tmp_path / "again.png")]) == 1  # failed cases still count
    shown = capsys.readouterr().out
    assert "FAILED nonsense 96x96 latency: no backend" in shown
    assert re.search(r"\w+ \w+ takes [\d.]+", shown)
    for picture in (made[1] / "plot.png", tmp_path / "again.png"):
        assert cv2.imread(str(picture)).shape[1] > 1000


def test_a_reader_that_leaves_early(made: tuple[int, Path]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    source = str(made[1] / "deep" / "record.json")
    shown = [sys.executable, "-m", "iic_rt.bench", "--from", source]
    done = subprocess.run(shown, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.update(schema=99), "schema 99"),
        (lambda r: r.update(tool="other"), "no record of"),
        (lambda r: r["cases"][0].pop("check"), "no 'check'"),
        (lambda r: r["cases"][0].update(extra=1), "unknown 'extra'"),
        (lambda r: r["cases"][0]["end_to_end_ms"].update(p50=float("nan")), "nan, no float"),
        (lambda r: r["cases"][0]["end_to_end_ms"].update(p50="fast"), "'fast', no float"),
    ],
)
def test_a_damaged_record_is_refused(
    record: dict[str, Any], tmp_path: Path, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    copy = json.loads(json.dumps(record))
    spoil(copy)
    (tmp_path / "r.json").write_text(json.dumps(copy))
    with pytest.raises(InputError, match=message):
        read_record(tmp_path / "r.json")


def test_a_missing_record_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--from", str(tmp_path / "none.json")]) == 1
    assert capsys.readouterr().err.startswith("iic_rt.bench: error: ")


def test_ones_own_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = synthetic(80, 70, 10)
    cv2.imwrite(str(tmp_path / "p.png"), scene.image[..., ::-1])
    cv2.imwrite(str(tmp_path / "m.png"), scene.hole * 255)
    own = ["--picture", str(tmp_path / "p.png"), "--mask", str(tmp_path / "m.png")]
    assert command.main([*SMALL[2:], *own]) == 0
    assert "80×70, hole 9.86 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        ["--picture", "p.png"],
        ["--picture", "p.png", "--mask", "m.png", "--size", "96"],
        ["--from", "r.json", "--json", "s.json"],
        ["--plot", "plot.pdf"],
        ["--hole", "0"],
        ["--hole", "90"],
        ["--size", "8"],
        ["--size", "axb"],
        ["--repeats", "0"],
        ["--compare", "onnxruntime"],
    ],
)
def test_wrong_arguments(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.main(wrong)
    assert left.value.code == 2


def test_a_backend_that_ends_the_process_is_a_failure(
    case: Case, scene: Scene, expected: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\necho terminate called >&2\nkill -ABRT $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    row = measure_apart([case], scene, expected)
    assert row.keys() == {"asked", "failed"}
    assert "signal 6" in row["failed"]
    assert "terminate called" in row["failed"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    out = ["--json", str(tmp_path / "out" / "r.json"), "--plot", str(tmp_path / "out" / "r.png")]
    process = subprocess.Popen(
        [sys.executable, "-m", "iic_rt.bench", *SMALL, "--repeats", "100000", *out],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path / "scratch")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    while not list((tmp_path / "scratch").glob("iic-rt-bench-*/scene.npz")):  # the worker is about to start
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    shown, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--json holds what was finished before" in said
    assert shown == ""
    assert not list((tmp_path / "out").iterdir())
    assert not list((tmp_path / "scratch").glob("iic-rt-bench-*"))


def test_the_scene_has_the_hole_asked_for() -> None:
    for width, height, percent in ((512, 512, 15.0), (640, 360, 2.0), (96, 96, 75.0)):
        scene = synthetic(width, height, percent)
        assert scene.image.shape == (height, width, 3)
        assert 100 * scene.hole.mean() == pytest.approx(percent, rel=0.03)
        border = np.concatenate([scene.hole[[0, -1]].ravel(), scene.hole[:, [0, -1]].ravel()])
        assert not border.any()
        assert scene.image.std() > 20
    assert (synthetic(64, 64, 5).image == synthetic(64, 64, 5).image).all()


def test_the_page_explains_every_field() -> None:
    page = (ROOT / "docs" / "bench.md").read_text()

    def keys(shape: Any) -> set[str]:
        if isinstance(shape, dict):
            return set(shape) | {key for inner in shape.values() for key in keys(inner)}
        if isinstance(shape, (list, tuple)):
            return {key for inner in shape for key in keys(inner)}
        return set()

    from iic_rt.bench.record import RECORD

    assert sorted(key for key in keys(RECORD) if f"`{key}`" not in page) == []
