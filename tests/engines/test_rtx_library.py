"""The parser of TensorRT-RTX finds its runtime library in a fresh process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from iic_rt.engines.rtx_library import prepare_rtx_library
from iic_rt.errors import BackendError


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_name_leads_to_the_library_that_is_loaded() -> None:
    """That a graph with a plugin is then parsed and not aborted is in tests/cpp_ext/test_plugin.py."""
    pytest.importorskip("tensorrt_rtx")
    code = """
import ctypes, os
from iic_rt.engines.rtx_library import prepare_rtx_library
def address(name):
    return ctypes.cast(ctypes.CDLL(name).getPluginRegistry, ctypes.c_void_p).value
prepare_rtx_library()
descriptors = len(os.listdir("/proc/self/fd"))
prepare_rtx_library()
assert len(os.listdir("/proc/self/fd")) == descriptors
print(address("libtensorrt_rtx.so") == address("libtensorrt_rtx.so.1"))
"""
    assert run(code) == "True"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(BackendError, match="pip install"):
        prepare_rtx_library()


def test_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr("iic_rt.engines.rtx_library._is_loadable", lambda name: False)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(BackendError, match="x86_64 and aarch64, and this is riscv64"):
        prepare_rtx_library()


def test_a_library_that_cannot_be_loaded_is_named() -> None:
    """In a process of its own: what was loaded once is found again."""
    pytest.importorskip("tensorrt_rtx")
    code = """
from iic_rt.engines import rtx_library
from iic_rt.errors import BackendError
rtx_library.SHIPPED = "libtensorrt_rtx.so.99"
try:
    rtx_library.prepare_rtx_library()
except BackendError as error:
    print(error)
"""
    assert "LD_LIBRARY_PATH" in run(code)
