"""The benchmark of the server runs once, on a small image and a small model."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks import server
from benchmarks.server_tables import server_table
from iic_rt import Inpainter


def test_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"WIDTH": 96, "HEIGHT": 64, "BEFORE_THE_END": 0.3, "ROUNDS_OF_LOAD": 1}.items():
        monkeypatch.setattr(server, name, value)
    monkeypatch.setattr(server, "Inpainter", partial(Inpainter, working_size=64, threads=1))
    told = ["--out", str(tmp_path / "server.json"), "--backend", "onnxruntime", "--repeats", "2", "--clients", "3"]
    command = [sys.executable, "-m", "tests.cli.small_server"]
    assert server.main([*told, "--images", "6", "--minutes", "0.01"], command=command) == 0
    record = json.loads((tmp_path / "server.json").read_text())
    assert record["bundle"]["weights_sha256"]
    assert record["size"] == [96, 64]
    for kind in ("jpg", "png"):
        assert record["one_client"][kind]["ratios"]["direct"]["p50"] > 0
    assert record["load"]["statuses"] == {"200": 6}
    assert record["load"]["p99_share_of_queue"] > 0
    assert record["load"]["throughput"]["direct_files"] > 0
    assert "SIGTERM" in server_table(record)
    assert record["two_workers"]["throughput"] > 0
    assert record["memory"]["requests"] > 2
    assert record["memory"]["statuses"].keys() == {"200"}
    end = record["end"]
    assert end["exit_status"] == 0
    assert end["accepted"] == end["answered"] == end["answers_received"] > 0
    assert "SIGTERM: " in capsys.readouterr().out
