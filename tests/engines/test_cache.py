"""The cache: built once, whole or not at all, found again, and found out when it is damaged."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iic_rt.engines import cache as cache_module
from iic_rt.engines.cache import EngineCache
from iic_rt.errors import BackendError, OutputError
from tests.engines.cache_worker import ENGINE, key

ROOT = Path(__file__).parents[2]


def start(folder: Path, way: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.engines.cache_worker", str(folder), way]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def start_while_built(folder: Path) -> subprocess.Popen[str]:
    """A second process, once it waits for the build of the first, and says so."""
    for _ in range(6000):
        if (folder / "builds").exists():
            second = start(folder, "build")
            assert second.stderr is not None
            assert "another process builds" in second.stderr.readline()
            return second
        time.sleep(0.01)
    return pytest.fail("the first process never built")


def builds(folder: Path) -> int:
    return len((folder / "builds").read_text().splitlines())


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cache").iterdir()} - {"lock"}


def never() -> bytes:
    pytest.fail("built again")


ENTRY = {f"{key().name}.engine", f"{key().name}.json"}


def test_an_engine_is_built_once_and_found_again(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "cache")
    assert cache.get(key(), lambda: ENGINE) == ENGINE
    assert EngineCache(tmp_path / "cache").get(key(), never) == ENGINE
    (entry,) = cache.entries()
    assert (entry.key.facts(), entry.size) == (key().facts(), len(ENGINE))
    assert files(tmp_path) == ENTRY


@pytest.mark.parametrize(
    "changes",
    [
        {"graph": "prepare"},
        {"graph_sha256": "1" * 64},
        {"precision": "fp32"},
        {"shapes": {"y": (1, 3, 8, 16), "first": (1,)}},
        {"target": "tensorrt-rtx"},
        {"version": "10.3.1"},
        {"compute_capability": "8.6"},
        {"plugin_sha256": "2" * 64},
        {"options": {"workspace_mib": 64}},
    ],
)
def test_every_fact_of_the_key_counts(changes: dict[str, object], tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.get(key(), lambda: ENGINE)
    assert cache.get(key(**changes), lambda: b"other") == b"other"
    assert cache.get(key(), never) == ENGINE


def test_the_order_of_the_inputs_does_not_count(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.get(key(), lambda: ENGINE)
    assert cache.get(key(shapes=dict(reversed(key().shapes.items()))), never) == ENGINE


def test_two_processes_at_once_build_once(tmp_path: Path) -> None:
    first = start(tmp_path, "wait")
    second = start_while_built(tmp_path)
    (tmp_path / "go").touch()
    assert (first.wait(60), second.wait(60)) == (0, 0)
    assert builds(tmp_path) == 1
    assert files(tmp_path) == ENTRY


def test_a_build_that_is_killed_lets_the_next_build(tmp_path: Path) -> None:
    killed = start(tmp_path, "wait")
    waiting = start_while_built(tmp_path)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(60) == -signal.SIGKILL
    assert waiting.wait(60) == 0
    assert builds(tmp_path) == 2
    assert files(tmp_path) == ENTRY


@pytest.mark.parametrize("way", ["die-writing", "die-between"])
def test_a_process_killed_while_it_writes_leaves_nothing_that_is_read(way: str, tmp_path: Path) -> None:
    assert start(tmp_path, way).wait(60) == -signal.SIGKILL
    assert EngineCache(tmp_path / "cache").entries() == []
    assert files(tmp_path)  # it did leave something
    assert start(tmp_path, "build").wait(60) == 0
    assert builds(tmp_path) == 2
    assert files(tmp_path) == ENTRY
    assert EngineCache(tmp_path / "cache").get(key(), never) == ENGINE


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "json", "no-json"])
def test_a_damaged_entry_is_built_again(damage: str, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    cache.get(key(), lambda: ENGINE)
    engine, facts = tmp_path / f"{key().name}.engine", tmp_path / f"{key().name}.json"
    if damage == "flip":
        engine.write_bytes(ENGINE[:5000] + bytes([ENGINE[5000] ^ 1]) + ENGINE[5001:])
    elif damage == "gone":
        engine.unlink()
    elif damage == "json":
        facts.write_text(facts.read_text()[:-20])
    elif damage == "no-json":
        facts.unlink()
    else:
        engine.write_bytes(ENGINE[:100] if damage == "cut" else b"")
    assert cache.get(key(), lambda: b"anew") == b"anew"
    assert cache.get(key(), never) == b"anew"


def test_an_entry_of_another_schema_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = EngineCache(tmp_path)
    cache.get(key(), lambda: ENGINE)
    facts = tmp_path / f"{key().name}.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"schema": 99}))
    assert cache.entries() == []
    assert cache.get(key(), lambda: b"anew") == b"anew"
    monkeypatch.setattr(cache_module, "SCHEMA", 2)
    assert cache.get(key(), lambda: b"of schema 2") == b"of schema 2"
    monkeypatch.undo()
    assert cache.get(key(), never) == b"anew"  # two versions of iic-rt share a folder in peace


def test_an_entry_is_not_taken_for_another(tmp_path: Path) -> None:
    """Its JSON decides and not its name."""
    cache = EngineCache(tmp_path)
    cache.get(key(), lambda: ENGINE)
    for ending in ("engine", "json"):
        (tmp_path / f"{key().name}.{ending}").rename(tmp_path / f"{key(precision='fp32').name}.{ending}")
    assert cache.get(key(precision="fp32"), lambda: b"right") == b"right"


def test_a_failed_build_leaves_no_entry(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)

    def fail() -> bytes:
        raise BackendError("out of memory")

    with pytest.raises(BackendError, match="out of memory"):
        cache.get(key(), fail)
    assert not list(tmp_path.glob("*.*"))
    assert cache.get(key(), lambda: ENGINE) == ENGINE  # the lock was given up


@pytest.mark.parametrize("nth", [1, 2])
def test_a_full_disk_leaves_no_entry(nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, rename, done = EngineCache(tmp_path), os.replace, []

    def replace(source: str, target: Path) -> None:
        done.append(target)
        if len(done) == nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    monkeypatch.setattr("iic_rt.files.os.replace", replace)
    with pytest.raises(OutputError, match=r"engine of 'step' .*No space left.*engines prune.*IIC_RT_CACHE"):
        cache.get(key(), lambda: ENGINE)
    assert {path.name for path in tmp_path.iterdir()} <= {"lock"}
    assert cache.get(key(), lambda: ENGINE) == ENGINE


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="IIC_RT_CACHE"):
        EngineCache(tmp_path / "file" / "cache").get(key(), never)


def test_reading_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that was filled when a container was made may be read-only."""
    cache = EngineCache(tmp_path)
    cache.get(key(), lambda: ENGINE)
    monkeypatch.setitem(sys.modules, "filelock", None)
    monkeypatch.setattr(os, "utime", lambda path: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
    assert cache.get(key(), never) == ENGINE
    with pytest.raises(BackendError, match="pip install"):
        cache.get(key(precision="fp32"), never)


def test_prune_removes_what_is_not_kept_and_all_that_is_damaged(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    for precision in ("fp32", "fp16", "bf16"):
        cache.get(key(precision=precision), lambda: ENGINE)
    (tmp_path / f"{key(precision='bf16').name}.engine").write_bytes(b"damaged")
    for name in (".step-1.engine-x7", "orphan.engine", "other.json"):
        (tmp_path / name).write_bytes(b"{}")
    timing = cache.timing_cache("tensorrt", "10.3.0", "8.7")
    timing.write_bytes(b"measured")
    gone = cache.prune(lambda entry: entry.key.precision != "fp32")
    assert {entry.key.precision for entry in gone} == {"fp32", "bf16"}
    assert {path.name for path in tmp_path.iterdir()} == ENTRY | {"lock", timing.name}
    assert cache.get(key(), never) == ENGINE
    assert len(cache.prune(lambda entry: False)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}
    assert EngineCache(tmp_path / "nowhere").prune(lambda entry: False) == []


def test_use_is_written_down(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    for precision in ("fp32", "fp16"):
        cache.get(key(precision=precision), lambda: ENGINE)
        os.utime(tmp_path / f"{key(precision=precision).name}.json", (1000, 1000))
    cache.get(key(precision="fp32"), never)
    newest, oldest = cache.entries()
    assert (newest.key.precision, oldest.key.precision, oldest.used) == ("fp32", "fp16", 1000)
    cache.prune(lambda entry: True)
    assert cache.entries()[1].used == 1000  # looking is not using
