"""The script for machines with a GPU: a part's failure is told, and the tables show what was measured alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import contenders, gpu, gpu_peers, torch_call
from benchmarks.contenders import scene
from benchmarks.gpu_tables import NOTHING, gpu_table
from benchmarks.torch_call import TorchCall
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bench.cases import synthetic
from iic_rt.bench.metrics import hole_psnr
from iic_rt.pipeline.runners import Runners

ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *parts: gpu.Part, options: str = "") -> tuple[int, Any]:
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.delenv("IIC_RT_REQUIRE_GPU", raising=False)
    status = gpu.main(["--out", str(tmp_path / "device"), *options.split()])
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
    with tarfile.open(tmp_path / "device" / "device.tar.gz") as archive:
        assert archive.getnames() == [
            f"device/{name}" for name in ("bad.log", "good.log", "gpu.json", "not-there.log", "slow.log")
        ]


def test_what_does_not_fit_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = gpu.Part("long", "sleep 30", None, 9), gpu.Part("next", "true", None, 30)
    status, record = run(tmp_path, monkeypatch, *parts, options="--seconds 5")
    assert status == 1
    assert record["parts"]["long"]["state"].startswith("ran past")
    assert record["parts"]["next"]["state"] == "left out: 0 s were left, and it may take 30"
    status, record = run(tmp_path, monkeypatch, *parts, options="--only next")
    assert status == 0
    assert list(record["parts"]) == ["long", "next"]
    assert record["parts"]["next"]["state"] == "passed"


def processes_of(place: Path) -> list[str]:
    """Command lines with ``place`` in them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(place) in command:
            found.append(command)
    return found


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened for a minute")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_rehearsal_leaves_results_and_no_process(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "device"
    command = [sys.executable, "-m", "benchmarks.gpu", "--rehearse", "--out", str(out), "--seconds", "60"]
    (tmp_path / "scratch").mkdir()
    environ = os.environ | {"TMPDIR": str(tmp_path / "scratch"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, "--only", "device", "bench"], cwd=ROOT, env=environ)
    try:
        # The first case is in the record, and the worker of the second runs.
        wait_for((out / "bench.json").exists)
        wait_for(lambda: any("iic_rt.bench.worker" in command for command in processes_of(tmp_path)))
        process.send_signal(number)
        assert process.wait(30) == (143 if number == signal.SIGTERM else -9)
        wait_for(lambda: not processes_of(tmp_path))
    finally:
        process.kill()
    parts = json.loads((out / "gpu.json").read_text())["parts"]
    assert {name: part["state"] for name, part in parts.items()} == {"device": "passed", "bench": "did not end"}
    assert len(json.loads((out / "bench.json").read_text())["cases"]) == 1
    with tarfile.open(out / "device.tar.gz") as archive:
        assert {"device/device.log", "device/gpu.json"} <= set(archive.getnames())
        assert ("device/bench.json" in archive.getnames()) == (number == signal.SIGTERM)


def test_engines_are_built_for_the_regions_that_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()

    class Seen(Exception):
        pass

    def seen(_runners: Runners, side: int, **_options: object) -> None:
        found.add(side)
        raise Seen

    monkeypatch.setattr(Runners, "runner", seen)
    scenes = [synthetic(size, size, gpu.HOLE) for size in gpu.SIZES]
    with Inpainter(backend="onnxruntime", options=InpaintOptions(grow=0)) as inpainter:
        for image, hole in [*((s.image, s.hole) for s in scenes), scene()]:
            with pytest.raises(Seen):  # each scene has one region
                inpainter.inpaint(image, hole)
    assert gpu.sides() == tuple(sorted(found))


def test_a_rehearsal_leaves_out_what_needs_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = "{python} -c 'import sys; print(sys.argv[1])' {out}/{backend}"
    parts = gpu.Part("device", "nvidia-smi", None, 30), gpu.Part("other", "no-such-program", out, 30)
    status, record = run(tmp_path, monkeypatch, *parts, options="--rehearse")
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

    class Quick(TorchCall):
        def __init__(self, *arguments: Any, compiled: bool, **options: Any) -> None:
            if compiled:
                raise RuntimeError("not here")
            super().__init__(*arguments, **options)

    monkeypatch.setattr(torch_call, "TorchCall", Quick)
    monkeypatch.setattr(contenders, "WARM_UP", 0)
    out = tmp_path / "peers.json"
    assert gpu_peers.main(["--out", str(out), "--backend", "onnxruntime", "--device", "cpu", "--repeats", "1"]) == 0
    record = json.loads(out.read_text())
    assert list(record["ms"]) == ["iic-rt, onnxruntime", "torch eager, autocast"]
    assert "CUDA provider" in record["missing"]["ONNX Runtime CUDA"]
    assert record["missing"]["torch.compile, FP16 weights, one CUDA graph"] == "RuntimeError: not here"
    assert record["ratios"]["iic-rt, onnxruntime / torch eager, autocast"]["p50"] > 0


def test_torch_makes_the_same_picture_with_weights_in_fp16(inpainter: Inpainter) -> None:
    image, hole = scene()
    whole, half = (TorchCall(inpainter, 2, precision=precision) for precision in ("fp32", "fp16"))
    assert whole() > 0
    assert half() > 0
    assert np.array_equal(half.picture[hole == 0], image[hole == 0])
    assert hole_psnr(half.picture, whole.picture, hole > 0) > 35
    assert hole_psnr(image, whole.picture, hole > 0) < 30


@pytest.mark.gpu
def test_a_captured_loop_makes_the_picture_of_an_eager_one() -> None:
    _, hole = scene()
    with Inpainter(backend="onnxruntime") as plain:
        eager, captured = (
            TorchCall(plain, 2, device="cuda", precision="fp16", captured=captured) for captured in (False, True)
        )
    for run in (eager, captured, captured):
        run()
    assert hole_psnr(captured.picture, eager.picture, hole > 0) > 35


def test_tables_show_devices_and_no_rehearsals(tmp_path: Path) -> None:
    assert gpu_table(tmp_path) == NOTHING
    for name, rehearsal in (("tried", True), ("orin", False)):
        (tmp_path / name).mkdir()
        parts = {"kernels": {"state": "passed"}, "bench": {"state": "failed with 1"}}
        (tmp_path / name / "gpu.json").write_text(json.dumps({"rehearsal": rehearsal, "parts": parts}))
        row = {"p50": 4.0, "p90": 5.0, "p99": 6.0}
        peers = {"ms": {"ours": row, "theirs": row}, "ratios": {"ours / theirs": row}, "missing": {"other": "no"}}
        (tmp_path / name / "peers.json").write_text(json.dumps(peers | {"iterations": 4, "device": "Orin"}))
        timed = {"type": "float16", "side": 576, "holes": 0.15, "roofline_ms": 2.4}
        timed |= {f"{kind}_ms": row for kind in ("kernel", "torch_graph", "torch")}
        (tmp_path / name / "kernels.json").write_text(json.dumps({"replace": [timed]}))
    table = gpu_table(tmp_path)
    assert "tried" not in table
    assert "**orin**: did not pass: bench (failed with 1)." in table
    assert "| theirs | 4.00 | 5.00 | 6.00 | 4.00 × |" in table
    assert "| other | did not run: no | | | |" in table
    assert "| replace, float16, 576 pixels | 15% | 4.000 | 60% | 4.000 | 4.000 |" in table
