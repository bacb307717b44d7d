"""The kernels that TensorRT-RTX compiled: kept, found again, and passed over when they are damaged or another's."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from iic_rt.cli import engines as cli
from iic_rt.cli.main import main
from iic_rt.engines.cache import EngineCache
from iic_rt.engines.runtime_cache import RuntimeCacheFile, RuntimeCacheKey
from tests.engines.cache_worker import ENGINE, key
from tests.engines.test_cli import cache, installed  # noqa: F401  # fixtures

KEY = RuntimeCacheKey("tensorrt-rtx", "1.7.1.116", "RTX 4090", "8.9", "13.0")
KERNELS = b"\n\x00kernels\n" + bytes(range(256))


def written(folder: Path, key: RuntimeCacheKey = KEY) -> RuntimeCacheFile:
    file = RuntimeCacheFile(folder, key)
    file.write(KERNELS)
    return file


def test_kernels_are_found_again(tmp_path: Path) -> None:
    file = written(tmp_path / "new" / "folder")
    assert RuntimeCacheFile(tmp_path / "new" / "folder", KEY).read() == KERNELS
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]
    assert RuntimeCacheFile(tmp_path, KEY).read() is None


@pytest.mark.parametrize("fact", ["target", "version", "device", "compute_capability", "driver_version"])
def test_every_fact_of_the_key_counts(fact: str, tmp_path: Path) -> None:
    file, other = written(tmp_path), RuntimeCacheFile(tmp_path, replace(KEY, **{fact: "other"}))
    assert other.read() is None
    file.path.rename(other.path)  # the content decides and not the name
    assert other.read() is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "header", "schema", "not utf-8"])
def test_a_damaged_file_is_passed_over_and_written_anew(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path).path
    content = path.read_bytes()
    header, body = content.split(b"\n", 1)
    path.write_bytes(
        {
            "flip": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
            "cut": content[:-1],
            "empty": b"",
            "header": b"[1]\n" + body,
            "schema": json.dumps(json.loads(header) | {"schema": 2}).encode() + b"\n" + body,
            "not utf-8": b"\xff\xfe" + content,
        }[damage]
    )
    file = RuntimeCacheFile(tmp_path, KEY)
    assert file.read() is None
    assert ("damaged" in caplog.text) == (damage != "schema")
    file.write(KERNELS)
    assert file.read() == KERNELS


def test_the_same_kernels_are_not_written_again(tmp_path: Path) -> None:
    path = written(tmp_path).path
    file = RuntimeCacheFile(tmp_path, KEY)
    file.read()
    before = path.stat().st_ino
    file.write(KERNELS)
    assert path.stat().st_ino == before
    file.write(KERNELS + b"more")
    assert path.stat().st_ino != before


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    file = RuntimeCacheFile(tmp_path / "file", KEY)
    with caplog.at_level(logging.WARNING, "iic_rt.engines"):
        file.write(KERNELS)
        file.write(KERNELS)
    assert len(caplog.messages) == 1
    assert "compiles them again" in caplog.text
    assert file.read() is None


def test_reading_is_using(tmp_path: Path) -> None:
    file, folder = written(tmp_path), EngineCache(tmp_path)
    os.utime(file.path, (1000, 1000))
    (entry,) = folder.runtime_entries()
    assert (entry.key, entry.used, entry.size) == (KEY, 1000, file.path.stat().st_size)
    folder.prune(lambda entry: True)
    assert folder.runtime_entries()[0].used == 1000  # looking is not using
    RuntimeCacheFile(tmp_path, KEY).read()
    assert folder.runtime_entries()[0].used > 1000


def test_prune_removes_damaged_files_and_those_of_an_old_library(
    cache: EngineCache,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, old, damaged = KEY, replace(KEY, version="1.6.0"), replace(KEY, device="RTX 3090")
    for each in (kept, old, damaged):
        written(cache.folder, each)
    (cache.folder / damaged.name).write_bytes(b"damaged")
    cache.get(key(), lambda: ENGINE)
    assert main(["engines", "list"]) == 0
    assert "1 engines and 2 files of compiled kernels, 0.0 MiB in" in capsys.readouterr().out
    monkeypatch.setattr(cli, "_installed_versions", lambda: {"tensorrt-rtx": KEY.version})
    assert main(["engines", "prune"]) == 0
    assert "removed 0 engines and 1 file of compiled kernels, 0.0 MiB" in capsys.readouterr().out
    assert {path.name for path in cache.folder.glob("runtime-*")} == {kept.name}
    assert len(cache.entries()) == 1


@pytest.mark.usefixtures("installed")
def test_prune_keeps_what_a_library_that_is_away_may_use_again_and_knows_the_age(
    cache: EngineCache,  # noqa: F811
) -> None:
    path = written(cache.folder).path
    assert main(["engines", "prune"]) == 0
    assert path.exists()
    old = time.time() - 10 * 86400
    os.utime(path, (old, old))
    assert main(["engines", "prune", "--older-than", "11"]) == 0
    assert path.exists()
    assert main(["engines", "prune", "--older-than", "9"]) == 0
    assert not path.exists()
    path = written(cache.folder).path
    assert main(["engines", "prune", "--all"]) == 0
    assert not path.exists()
