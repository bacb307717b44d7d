"""Triton serves the model of ``engines.triton``: over HTTP and gRPC, with direct calls' results and Triton's errors."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from engines.triton.__main__ import main
from tests.server.conftest import until

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv" / "triton"
PYTHON = HOME / "bin" / "python"
STUB = "triton_python_backend_stub"
INSTANCES = 2


def free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [taken.getsockname()[1] for taken in sockets]


class Server:
    """Triton with the small model."""

    def __init__(self, folder: Path) -> None:
        told = ["--backend", "onnxruntime", "--working-size", "64", "--threads", "1", "--warmup", "128"]
        assert main([str(folder), "--instances", str(INSTANCES), *told]) == 0
        ports = dict(zip(("http", "grpc", "metrics"), free_ports(3), strict=True))
        self.http, self.grpc = (f"127.0.0.1:{ports[name]}" for name in ("http", "grpc"))
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        command = [str(PYTHON), "-m", "engines.triton.server", str(folder)]
        command += [f"--{name}-port={port}" for name, port in ports.items()]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=self.log, env=environment())
        until(self.is_ready, 180)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return bool(urllib.request.urlopen(f"http://{self.http}/v2/health/ready", timeout=5).status == 200)
        except OSError:
            return False

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def stubs(self) -> list[int]:
        """The processes of the instances."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        found = [int(pid) for file in children for pid in file.read_text().split()]
        return [pid for pid in found if is_stub(pid)]


def is_stub(pid: int) -> bool:
    try:
        return STUB in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (HOME / "ready").exists():
        pytest.skip("Triton is not installed: make .venv/triton/ready")
    served = Server(tmp_path_factory.mktemp("repository"))
    yield served
    served.process.kill()
    served.process.wait()
    served.log.close()


@pytest.fixture(scope="module")
def found(server: Server) -> dict[str, Any]:
    """What a client saw."""
    command = [str(PYTHON), "-m", "tests.triton.client", server.http, server.grpc]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr + server.said()
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_results_are_those_of_direct_calls(found: dict[str, Any]) -> None:
    assert len(found["equal"]) == 6  # three sizes and numbers of channels, two protocols
    for name, (image, hole, confidence, changed) in found["equal"].items():
        assert image, name
        assert hole, name
        assert confidence, name
        assert changed, name


def test_errors_are_the_callers(found: dict[str, Any]) -> None:
    for kind, status in (("http", "400"), ("grpc", "StatusCode.INVALID_ARGUMENT")):
        errors = found["errors"][kind]
        assert {said[0] for said in errors.values()} == {status}
        assert "must be equal" in errors["another size"][1]
        assert "allowed: [H, W]" in errors["channels"][1]
        assert "expects 'UINT8'" in errors["a float image"][1]
        assert "iterations is 0" in errors["iterations"][1]
        assert "iterations is 'many'" in errors["a word"][1]
        assert "unknown parameters ['prompt']; allowed: budget_ms" in errors["unknown"][1]


def test_two_instances_answer_many_at_once(server: Server, found: dict[str, Any]) -> None:
    assert found["at_once"] == 24
    assert len(server.stubs()) == INSTANCES


def test_the_program_in_its_readme_runs(server: Server) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "engines/triton/README.md").read_text(), re.DOTALL)
    assert "127.0.0.1:8000" in program
    code = program.replace("127.0.0.1:8000", server.http) + "print(result.shape)"
    done = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "(512, 768, 3)\n", done.stderr


def test_it_ends_in_order(server: Server, found: dict[str, Any]) -> None:
    stubs = server.stubs()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    assert len(stubs) == INSTANCES
    until(lambda: not any(is_stub(pid) for pid in stubs))
    assert "Traceback" not in server.said()


def test_a_repository_is_written_anew(tmp_path: Path) -> None:
    for instances in ("1", "3"):
        assert main([str(tmp_path), "--instances", instances, "--precision", "fp32"]) == 0
    config = (tmp_path / "iic_rt" / "config.pbtxt").read_text()
    assert "count: 3 kind: KIND_CPU" in config
    assert r'key: "precision" value: { string_value: "\"fp32\"" }' in config
    assert (tmp_path / "iic_rt" / "1" / "model.py").read_text() == (ROOT / "engines/triton/model.py").read_text()
