"""Whatever happens to the command, it says one line, and leaves nothing that is half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.cli import remove
from iic_rt.cli.main import main
from iic_rt.image_io import write_image
from tests.test_decoder_noise import damaged_jpeg

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images whose names few encodings have, and their masks."""
    folder = tmp_path_factory.mktemp("endings")
    rng = np.random.default_rng(4)
    mask = np.zeros((60, 70), np.uint8)
    mask[20:40, 20:40] = 255
    for kind, pixels in (("images", rng.integers(0, 256, (60, 70, 3), np.uint8)), ("masks", mask)):
        (folder / kind).mkdir()
        for name in ("ä.png", os.fsdecode(b"s\xff.png")):
            write_image(folder / kind / name, pixels)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, a small model."""
    monkeypatch.setattr(remove, "Inpainter", partial(Inpainter, working_size=64))


def start(folder: Path, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(ROOT)} | settings.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-m", "iic_rt", *arguments],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        **{"stdout": subprocess.PIPE} | settings,
    )


ALL = ("remove", "images", "masks", "--backend", "onnxruntime", "--threads", "1", "--iterations", "1", "-o")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"], ["remove", "--help"], ["--version"]])
@pytest.mark.parametrize("buffered", [True, False])
def test_a_full_device(folder: Path, arguments: list[str], buffered: bool) -> None:
    with FULL.open("w") as full:
        process = start(folder, *arguments, stdout=full, env={} if buffered else {"PYTHONUNBUFFERED": "1"})
        said = process.communicate()[1].splitlines()
    # argparse keeps it to itself where it is told at once.
    assert len(said) == (0 if not buffered and arguments[-1][:2] == "--" and arguments[-1] != "--json" else 1)
    assert all(line.startswith("iic-rt: error: ") and "No space left on device" in line for line in said)
    assert process.returncode == len(said)


def test_nobody_reads_what_is_printed(folder: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    process = start(folder, "info", stdout=theirs)
    os.close(theirs)
    assert process.communicate()[1] == ""
    assert process.returncode == 1


def test_encodings_that_lack_the_names(folder: Path) -> None:
    process = start(folder, *ALL, "out", env={"PYTHONIOENCODING": "ascii:strict"})
    out, err = process.communicate()
    assert (process.returncode, err, out) == (0, "", "2 written, 0 failed\n")
    (folder / "masks" / "ä.png").rename(folder / "masks" / "b.png")
    try:
        process = start(folder, *ALL, "out", env={"PYTHONIOENCODING": "ascii:strict"})
        out, err = process.communicate()
    finally:
        (folder / "masks" / "b.png").rename(folder / "masks" / "ä.png")
    assert process.returncode == 1
    assert r"images/\xe4.png: masks/\xe4.png does not exist" in out
    assert len(err.splitlines()) == 1


def test_ctrl_c_while_modules_are_imported() -> None:
    """Sent by the first import of numpy, which takes longest."""
    code = (
        "import builtins, os, signal, sys\n"
        "real = builtins.__import__\n"
        "def hooked(name, *more, **named):\n"
        "    if name == 'numpy':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *more, **named)\n"
        "builtins.__import__ = hooked\n"
        "from iic_rt.__main__ import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "iic-rt: interrupted\n")


WAITS = """
import os, sys, time
from pathlib import Path
from iic_rt import files
from iic_rt.__main__ import main
def replace(*_):
    print("writing", flush=True)
    time.sleep(60)
files.os.replace = replace
sys.exit(main())
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_signals_leave_no_unfinished_file(folder: Path, name: str) -> None:
    out = folder / name
    out.mkdir()
    one = ["remove", "images/ä.png", "masks/ä.png", "--backend", "onnxruntime", "-o", str(out / "o.png")]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, *one],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    assert len(list(out.iterdir())) == 1
    process.send_signal(getattr(signal, name))
    assert process.communicate(timeout=20)[1] == "iic-rt: interrupted; images written so far are complete\n"
    assert process.returncode == 128 + getattr(signal, name)
    assert list(out.iterdir()) == []


def test_a_closed_terminal_that_is_to_be_ignored(folder: Path) -> None:
    """As under nohup."""
    process = start(folder, *ALL, "nohup", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    assert process.communicate() == ("2 written, 0 failed\n", "")
    assert process.returncode == 0


def test_folders_and_files_that_may_not_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(folder)
    for method in ("iterdir", "is_dir"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, method, refused)
            assert main([*ALL, "refused"]) == 1
        assert capsys.readouterr().err == "iic-rt: error: images cannot be read: Permission denied\n"


def memory_error_of_opencv() -> cv2.error:
    error = cv2.error("Failed to allocate")
    error.code = cv2.Error.StsNoMem
    return error


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("error", [MemoryError(), memory_error_of_opencv()])
def test_memory_that_runs_out_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def run_out(*_: object, **__: object) -> Any:
        raise error

    monkeypatch.chdir(folder)
    monkeypatch.setattr(remove, "plan_jobs", run_out)
    assert main([*ALL, "memory"]) == 1
    assert capsys.readouterr().err == "iic-rt: error: memory ran out; take smaller images or fewer --workers\n"


WRONG = {
    "remove": (
        ["i", "m", "-o", "o"],
        [
            ("--iterations", "0", "is no whole number from 1 up"),
            ("--iterations", "two", "is no whole number from 1 up"),
            ("--threads", "-1", "is no whole number from 1 up"),
            ("--workers", "0", "is no whole number from 1 up"),
            ("--grow", "65", "is no whole number from 0 to 64, and not 'auto'"),
            ("--budget-ms", "0", "is no number above 0"),
            ("--budget-ms", "nan", "is no number above 0"),
            ("--max-megapixels", "-5", "is no number above 0"),
            ("--mask-hole", "grey", "invalid choice"),
        ],
    ),
    "video": (
        ["v.mp4", "--mask", "m.png", "-o", "o.mp4"],
        [
            ("--fps", "1/0", "is no number above 0, such as 25 or 30000/1001"),
            ("--fps", "0", "is no number above 0"),
            ("--deadline-ms", "-1", "is no number above 0"),
            ("--lookahead", "100", "is no whole number from 0 to 64"),
            ("--hold-frames", "-1", "is no whole number from 0 to 250"),
            ("--jitter", "1.5", "is no whole number from 0 to 32"),
            ("--preview", "70000", "is no whole number from 0 to 65535"),
        ],
    ),
    "serve": (
        [],
        [
            ("--port", "70000", "is no whole number from 0 to 65535"),
            ("--workers", "0", "is no whole number from 1 up"),
            ("--queue", "-1", "is no whole number from 1 up"),
            ("--idle", "0", "is no number above 0"),
            ("--max-megapixels", "nan", "is no number above 0"),
            ("--max-bytes", "0", "is no whole number from 1 up"),
        ],
    ),
    "engines": (["prune"], [("--older-than", "-1", "is no number from 0 up")]),
}


@pytest.mark.parametrize(
    ("command", "option", "value", "message"),
    [(command, *case) for command, (_, cases) in WRONG.items() for case in cases],
)
def test_wrong_values_of_options(
    command: str, option: str, value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([command, *WRONG[command][0], option, value])
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: '{value}' {message}" in last or message in last


@pytest.mark.usefixtures("small")
def test_what_decoders_say_becomes_one_warning(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libjpeg and libpng write straight to standard error."""
    mask = np.zeros((300, 400), np.uint8)
    mask[100:140, 100:140] = 255
    content = damaged_jpeg()
    (folder / "damaged.jpg").write_bytes(content)
    write_image(folder / "mask.png", mask)
    files = [str(folder / name) for name in ("damaged.jpg", "mask.png", "o.png")]
    assert main(["remove", *files[:2], "-o", files[2], "--backend", "onnxruntime"]) == 0
    said = capfd.readouterr()
    assert f"warning: {files[0]}: {files[0]} may be damaged, and parts of it wrong: Corrupt JPEG data" in said.err
    assert len(said.err.splitlines()) == 1
    (folder / "damaged.jpg").write_bytes(content[: len(content) // 2])
    whole = (folder / "mask.png").read_bytes()
    (folder / "mask.png").write_bytes(whole[:60] + bytes((whole[60] ^ 1,)) + whole[61:])
    for which in (0, 1):
        assert main(["remove", files[which], files[1], "-o", files[2], "--backend", "onnxruntime"]) == 1
        said = capfd.readouterr().err
        assert said.startswith(f"iic-rt: error: {files[which]} is truncated or damaged; copy it again.")
        assert len(said.splitlines()) == 1
