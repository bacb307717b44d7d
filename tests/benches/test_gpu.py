"""The script for machines with a GPU: a part's failure is told, and the tables show what was measured alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu, gpu_peers
from benchmarks.gpu_tables import NOTHING, gpu_table


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *parts: gpu.Part, rehearse: bool = False) -> tuple[int, Any]:
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.delenv("IIC_RT_REQUIRE_GPU", raising=False)
    status = gpu.main(["--out", str(tmp_path / "device"), *(["--rehearse"] if rehearse else [])])
    return status, json.loads((tmp_path / "device" / "gpu.json").read_text())


def test_every_part_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = gpu.Part
    status, record = run(
        tmp_path,
        monkeypatch,
        part("good", "{python} -c 'print(5)'", None, 30),
        part("bad", "{python} -c 'print(\"the reason\"); raise SystemExit(3)'", None, 30),
        part("slow", "sleep 30", None, 1),
        part("not there", "no-such-program", None, 30),
    )
    assert status == 1
    states = {name: result["state"] for name, result in record["parts"].items()}
    assert states["good"] == "passed"
    assert states["bad"] == "failed with 3"
    assert record["parts"]["bad"]["last_lines"] == ["the reason"]
    assert states["slow"] == "ran past 1 s"
    assert states["not there"].startswith("could not be started")
    assert (tmp_path / "device" / "good.log").read_text() == "5\n"


def test_a_rehearsal_leaves_out_what_needs_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = "{python} -c 'import sys; print(sys.argv[1])' {out}/{backend}"
    parts = gpu.Part("device", "nvidia-smi", None, 30), gpu.Part("other", "no-such-program", out, 30)
    status, record = run(tmp_path, monkeypatch, *parts, rehearse=True)
    assert status == 0
    assert record["rehearsal"]
    assert list(record["parts"]) == ["other"]
    assert (tmp_path / "device" / "other.log").read_text().strip() == str(tmp_path / "device" / "tensorrt-rtx")


def test_on_a_gpu_tests_must_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "{python} -c 'import os; print(os.environ[\"IIC_RT_REQUIRE_GPU\"])'"
    assert run(tmp_path, monkeypatch, gpu.Part("asks", code, None, 30))[0] == 0
    assert (tmp_path / "device" / "asks.log").read_text() == "1\n"


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--out", str(tmp_path), "--only", "nothing"])


def test_peers_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code as on a GPU; torch.compile is left out, since it compiles for a minute."""
    real = gpu_peers.torch_call

    def quick(*arguments: Any, compiled: bool = False, **options: Any) -> Any:
        if compiled:
            raise RuntimeError("not here")
        return real(*arguments, **options)

    monkeypatch.setattr(gpu_peers, "torch_call", quick)
    out = tmp_path / "peers.json"
    assert gpu_peers.main(["--out", str(out), "--backend", "onnxruntime", "--device", "cpu", "--repeats", "1"]) == 0
    record = json.loads(out.read_text())
    assert list(record["ms"]) == ["iic-rt, onnxruntime", "torch eager"]
    assert "CUDA provider" in record["missing"]["ONNX Runtime CUDA"]
    assert record["missing"]["torch.compile, CUDA graphs"] == "RuntimeError: not here"
    assert record["ratios"]["iic-rt, onnxruntime / torch eager"]["p50"] > 0


def test_tables_show_devices_and_no_rehearsals(tmp_path: Path) -> None:
    assert gpu_table(tmp_path) == NOTHING
    for name, rehearsal in (("tried", True), ("orin", False)):
        (tmp_path / name).mkdir()
        parts = {"kernels": {"state": "passed"}, "bench": {"state": "failed with 1"}}
        (tmp_path / name / "gpu.json").write_text(json.dumps({"rehearsal": rehearsal, "parts": parts}))
        row = {"p50": 4.0, "p90": 5.0, "p99": 6.0}
        peers = {"ms": {"ours": row, "theirs": row}, "ratios": {"ours / theirs": row}, "missing": {"other": "no"}}
        (tmp_path / name / "peers.json").write_text(json.dumps(peers | {"iterations": 4, "device": "Orin"}))
        timed = {"type": "float16", "width": 576, "holes": 0.15, "share_of_roofline": 0.6}
        timed |= {f"{kind}_ms": row for kind in ("kernel", "attention", "unfused")}
        (tmp_path / name / "kernels.json").write_text(json.dumps({"timed": [timed]}))
    table = gpu_table(tmp_path)
    assert "tried" not in table
    assert "**orin**: did not pass: bench (failed with 1)." in table
    assert "| theirs | 4.00 | 5.00 | 6.00 | 4.00 × |" in table
    assert "| other | did not run: no | | | |" in table
    assert "| float16, width 576 | 15% | 4.000 | 60% | 4.000 | 4.000 |" in table
