"""Nothing is looked up, connected to or written beside the results: the engines' telemetry is off."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WREN = [str(ROOT / "examples" / name) for name in ("wren.jpg", "wren-mask.png")]
COMMANDS = {
    "info": ["iic_rt", "info"],
    "onnxruntime": ["iic_rt", "remove", *WREN, "-o", "result.png", "--backend", "onnxruntime"],
    "openvino": ["iic_rt", "remove", *WREN, "-o", "result.png", "--backend", "openvino"],
    "bench": ["iic_rt.bench", "--size", "96", "--working-size", "64", "--repeats", "1", "--warmup", "1"],
}
# For every Python process of the command: notes what looks a name up or connects, and does not let it.
GUARD = """
import sys

def look(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto", "socket.sendmsg"):
        with open({log!r}, "a") as log:
            print(event, args, file=log)
        raise OSError(event)

sys.addaudithook(look)
"""


def with_guard(folder: Path) -> str:
    """Writes the guard; the value of PYTHONPATH that sets it up."""
    guard = folder / "guard"
    guard.mkdir()
    (guard / "sitecustomize.py").write_text(GUARD.format(log=str(folder / "looked-up")))
    return str(guard)


def run(name: str, folder: Path, *before: str, guard: str = "") -> list[str]:
    """Runs a command in an empty home, where the opt-outs of a CI do not apply; returns what was left in the home."""
    if name == "openvino":
        pytest.importorskip("openvino")
    home = folder / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, [guard, str(ROOT)])),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*before, sys.executable, "-m", *COMMANDS[name]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_look_up_no_connection_no_file(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path, guard=with_guard(tmp_path)) == []
    assert not (tmp_path / "looked-up").exists()


def test_the_guard_sees_a_look_up(tmp_path: Path) -> None:
    code = "import socket\ntry: socket.getaddrinfo('localhost', 80)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": with_guard(tmp_path)}, check=True)
    assert (tmp_path / "looked-up").exists()


def can_trace() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to use it")
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_the_system_calls_open_no_socket_and_write_beside_nothing(name: str, tmp_path: Path) -> None:
    """The libraries' own threads too, which Python cannot see."""
    log = tmp_path / "calls"
    calls = "trace=socket,connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2"
    left = run(name, tmp_path, "strace", "-f", "-y", "-e", calls, "-o", str(log))
    assert left == []
    lines = log.read_text().splitlines()
    assert any("result.png" in line for line in lines), "nothing was traced"
    changing = re.compile(r"\b(mkdir|mkdirat|creat|rename\w*)\(|O_CREAT|O_WRONLY|O_RDWR")
    elsewhere = [line for line in lines if changing.search(line) and str(tmp_path) not in line and "/dev/" not in line]
    assert [line for line in lines if re.search(r"\b(socket|connect|send\w+)\(", line)] == []
    assert elsewhere == []
