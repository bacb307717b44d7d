"""The engine library is opened once, or refused with what to install."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from iic_rt.bundle.manifest import OPERATORS, OPERATORS_VERSION
from iic_rt.engines.engine_library import EngineLibrary, open_library
from iic_rt.engines.folders import cache_folder, plugin_path
from iic_rt.errors import BackendError


class Severity(IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class Logger:
    Severity = Severity


class Registry:
    """Of a process: finds the plugin, of a version, in one file."""

    def __init__(self, good: Path | None = None, version: str = str(OPERATORS_VERSION)) -> None:
        self.good, self.version, self.loaded = good, version, []

    def load_library(self, path: str) -> None:
        self.loaded.append(path)

    def get_creator(self, name: str, version: str, namespace: str) -> object | None:
        assert name in OPERATORS
        assert namespace == "iic"
        return object() if str(self.good) in self.loaded and version == self.version else None


def module(version: str, registry: Registry | None = None) -> Any:
    return SimpleNamespace(__version__=version, ILogger=Logger, get_plugin_registry=lambda: registry)


@pytest.fixture(autouse=True)
def _fresh():
    open_library.cache_clear()
    yield
    open_library.cache_clear()


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("IIC_RT_CACHE", "IIC_RT_PLUGIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "iic-rt"
    monkeypatch.setenv("IIC_RT_CACHE", "~/engines")
    assert cache_folder() == tmp_path / "engines"
    assert plugin_path() == tmp_path / "engines" / "plugin" / "libiic_rt_plugin.so"
    monkeypatch.setenv("IIC_RT_PLUGIN", "~/plugin.so")
    assert plugin_path() == tmp_path / "plugin.so"


def test_an_unknown_target() -> None:
    with pytest.raises(BackendError, match="'trt'; there are: tensorrt, tensorrt-rtx"):
        open_library("trt")


@pytest.mark.parametrize(
    ("target", "name", "hint"), [("tensorrt", "tensorrt", "JetPack"), ("tensorrt-rtx", "tensorrt_rtx", "pip install")]
)
def test_a_missing_library_says_what_to_install(
    target: str, name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=rf"{target} cannot be imported .*{hint}"):
        open_library(target)


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "9.10"])
def test_an_old_library_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", module(version))
    with pytest.raises(BackendError, match=rf"tensorrt {version} is too old, 10\.3 or newer is needed; .*JetPack"):
        open_library("tensorrt")


@pytest.mark.parametrize("version", ["10.3.0", "10.13.3.9", "11.1.0"])
def test_a_library_is_opened_once(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", module(version))
    library = open_library("tensorrt")
    assert (library.target, library.version) == ("tensorrt", version)
    assert open_library("tensorrt") is library  # one logger and one plugin registry a process


def test_errors_are_kept_until_they_are_quoted(caplog: pytest.LogCaptureFixture) -> None:
    library = EngineLibrary("tensorrt", module("10.3.0"))
    caplog.set_level(logging.DEBUG, "iic_rt")
    for level, message in ((Severity.ERROR, "no\n  memory"), (Severity.WARNING, "slow"), (Severity.ERROR, "no memory")):
        library.logger.log(level, message)
    library.logger.log(Severity.VERBOSE, "endless")
    assert library.errors() == "no memory"
    assert library.errors() == "it gave no reason"
    assert [record.levelname for record in caplog.records] == ["DEBUG"] * 3


def test_the_plugin_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plugin.so"
    path.write_bytes(b"abc")
    monkeypatch.setenv("IIC_RT_PLUGIN", str(path))
    registry = Registry(path)
    library = EngineLibrary("tensorrt", module("10.3.0", registry))
    assert library.load_plugin() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert library.load_plugin() == library.load_plugin()
    other = EngineLibrary("tensorrt", module("10.3.0", registry))  # the registry takes no name twice
    assert other.load_plugin() == library.load_plugin()
    assert registry.loaded == [str(path)]


def test_a_missing_plugin_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IIC_RT_PLUGIN", raising=False)
    monkeypatch.setenv("IIC_RT_CACHE", str(tmp_path))
    with pytest.raises(BackendError, match=rf"no {tmp_path}/plugin/.*install\.sh"):
        EngineLibrary("tensorrt", module("10.3.0", Registry())).load_plugin()


def test_a_plugin_that_does_not_load_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plugin.so"
    path.write_bytes(b"abc")
    monkeypatch.setenv("IIC_RT_PLUGIN", str(path))
    with pytest.raises(BackendError, match=rf"cannot load the plugin {path}: .*file too short.*install\.sh"):
        EngineLibrary("tensorrt", module("10.3.0", Registry())).load_plugin()


def test_a_plugin_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any library that loads, and whose plugin is not the one that the graphs name."""
    path = Path(importlib.import_module("_ctypes").__file__)
    monkeypatch.setenv("IIC_RT_PLUGIN", str(path))
    operators = "iic::PatchSearch, iic::PatchMatch and iic::PatchReplace"
    with pytest.raises(BackendError, match=rf"not hold {operators}, version {OPERATORS_VERSION}\. .*install\.sh"):
        EngineLibrary("tensorrt", module("10.3.0", Registry(path, "1"))).load_plugin()


def test_engines_come_without_engine_libraries() -> None:
    """Nothing of this is imported before somebody asks for an engine."""
    heavy = "'tensorrt', 'tensorrt_rtx', 'filelock', 'cuda', 'onnxruntime'"
    code = f"import sys, iic_rt, iic_rt.cli.main, iic_rt.engines.store; print(*({heavy}) & sys.modules.keys())"
    code = code.replace(f"({heavy})", f"{{{heavy}}}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
