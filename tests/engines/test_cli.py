"""``iic-rt engines`` as a user types it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from iic_rt.bundle.manifest import load_bundle
from iic_rt.cli import engines as cli
from iic_rt.cli.main import main
from iic_rt.engines.cache import EngineCache
from tests.engines.cache_worker import ENGINE, key


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    monkeypatch.setenv("IIC_RT_CACHE", str(tmp_path))
    monkeypatch.delenv("IIC_RT_PLUGIN", raising=False)
    return EngineCache()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT 10.3.0 is installed, TensorRT-RTX is not."""

    def open_library(target: str) -> SimpleNamespace:
        if target == "tensorrt":
            return SimpleNamespace(version="10.3.0")
        raise cli.BackendError("not installed")

    monkeypatch.setattr(cli, "open_library", open_library)


def test_an_empty_cache_is_listed(cache: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines", "list"]) == 0
    assert capsys.readouterr().out == f"0 engines, 0.0 MiB in {cache.folder}\n"


def test_list(cache: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    cache.get(key(), lambda: ENGINE)
    facts = cache.folder / f"{key().name}.json"
    content = json.loads(facts.read_text())
    facts.write_text(json.dumps(content | {"built": time.time() - 3 * 86400}))
    assert main(["engines", "list"]) == 0
    header, row, total = capsys.readouterr().out.splitlines()
    assert row.split() == ["step", "y", "1x3x8x8", "fp16", "tensorrt", "10.3.0", "8.7", "0.0", "MiB", "3", "days"]
    assert header.index("version") == row.index("10.3.0")
    assert total.startswith("1 engines")
    assert main(["engines", "list", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["folder"] == str(cache.folder)
    (entry,) = report["engines"]
    assert entry["shapes"] == {"y": [1, 3, 8, 8], "first": [1]}
    assert entry["size_bytes"] == len(ENGINE)
    assert entry["age_days"] == pytest.approx(3, abs=0.1)
    assert entry["unused_days"] == pytest.approx(0, abs=0.1)


def test_prune_removes_what_nothing_can_use(
    cache: EngineCache, installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cache.folder.parent / "plugin" / "libiic_rt_plugin.so"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    kept = [
        key(),
        key(version="10.1.0+"),
        key(plugin_sha256=sha256),
        key(target="tensorrt-rtx", version="1.6.0"),  # not installed for now
    ]
    for each in (*kept, key(version="10.13.0"), key(plugin_sha256="0" * 64)):
        cache.get(each, lambda: ENGINE)
    assert main(["engines", "prune"]) == 0
    assert capsys.readouterr().out.startswith("removed 2 engines")
    assert {entry.key.name for entry in cache.entries()} == {each.name for each in kept}


def test_prune_by_age_and_all(cache: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    for precision in ("fp16", "fp32"):
        cache.get(key(precision=precision), lambda: ENGINE)
    old = time.time() - 10 * 86400
    os.utime(cache.folder / f"{key(precision='fp32').name}.json", (old, old))
    assert main(["engines", "prune", "--older-than", "11"]) == 0
    assert len(cache.entries()) == 2
    assert main(["engines", "prune", "--older-than", "9"]) == 0
    assert [entry.key.precision for entry in cache.entries()] == ["fp16"]
    assert main(["engines", "prune", "--all"]) == 0
    assert cache.entries() == []
    with pytest.raises(SystemExit):
        main(["engines", "prune", "--all", "--older-than", "3"])


def test_build_fills_the_cache(
    cache: EngineCache,
    plugin: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.setenv("IIC_RT_PLUGIN", str(plugin))
    command = ["engines", "build", "--target", "tensorrt-rtx", "--sides", "256", "--precision", "fp32"]
    assert main(command) == 0
    first = capsys.readouterr()
    assert "256 pixels is there, 10 of them new" in first.out
    assert first.err.count("iic-rt: building the tensorrt-rtx engine of") == 10
    assert {entry.key.graph for entry in cache.entries()} == set(load_bundle("edge").graphs)
    assert {entry.key.compute_capability for entry in cache.entries()} == {"any"}
    assert main(command) == 0
    second = capsys.readouterr()
    assert "0 of them new" in second.out
    assert second.err == ""


def test_build_says_what_is_wrong(
    cache: EngineCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    command = ["engines", "build", "--target", "tensorrt", "--precision", "fp32"]
    assert main(command) == 1
    assert "JetPack" in capsys.readouterr().err
    assert main([*command, "--sides", "256,300"]) == 1
    assert "no region has 300 pixels; the next larger one has 384" in capsys.readouterr().err
    for wrong in (["--sides", "big"], ["--target", "trt"], ["--precision", "int8"]):
        with pytest.raises(SystemExit):
            main([*command, *wrong])
    assert not cache.folder.exists()
