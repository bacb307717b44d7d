"""The kernels under the host shim."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpp_ext.kernel_library import LIBRARY_SOURCES, KernelLibrary, build_host
from tests.cpp_ext.builds import built_once


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> KernelLibrary:
    def build(folder: Path) -> None:
        build_host(folder / "kernels.so", LIBRARY_SOURCES)

    return KernelLibrary(built_once(tmp_path_factory, "host", build) / "kernels.so")
