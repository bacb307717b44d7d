"""Builds the kernels as a shared library, with nvcc for a GPU or with g++ under the host shim, and calls it."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "LIBRARY_SOURCES",
    "SANITIZE_SOURCES",
    "KernelLibrary",
    "MatchSizes",
    "ReplaceSizes",
    "SearchSizes",
    "build_device",
    "build_host",
    "host_compiler_works",
]

ROOT = Path(__file__).parent
KERNEL_SOURCES = ("kernels/patch_search.cu", "kernels/patch_match.cu", "kernels/patch_replace.cu")
MOST_SWEEPS = 16  # kMostSweeps
LIBRARY_SOURCES = (*KERNEL_SOURCES, "kernels/c_abi.cpp")
SANITIZE_SOURCES = (*KERNEL_SOURCES, "host/sanitize.cpp")


def host_compiler_works() -> bool:
    """Whether g++ knows C++20 and half precision: 12 or newer on x86, 13 or newer on Arm."""
    probe = ["g++", "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
    try:
        return subprocess.run(probe, input=b"_Float16 half;", capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def build_host(output: Path, sources: Sequence[str], *flags: str) -> Path:
    """Compiles ``sources`` with g++ under the host shim, with every warning an error.

    A name that ends in ``.so`` becomes a shared library, any other one a program.

    Raises:
        subprocess.CalledProcessError: g++ failed; it said why on stderr.
    """
    base = ["g++", "-std=c++20", "-O1", "-g", "-pthread", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    shared = ["-fPIC", "-shared"] if output.suffix == ".so" else []
    shim = ["-DIIC_HOST_SHIM", "-Ihost", "-Ikernels", "-x", "c++"]
    subprocess.run([*base, *shared, *flags, *shim, *sources, "-o", str(output)], cwd=ROOT, check=True)
    return output


def build_device(output: Path, sources: Sequence[str], *flags: str) -> Path:
    """Compiles ``sources`` with nvcc for the GPU of this machine; names as in :func:`build_host`.

    Raises:
        subprocess.CalledProcessError: nvcc failed; it said why on stderr.
    """
    base = ["nvcc", "-std=c++17", "-O3", "-lineinfo", "-arch=native", "-Ikernels", "-x", "cu"]
    shared = ["-shared", "-Xcompiler", "-fPIC"] if output.suffix == ".so" else []
    subprocess.run([*base, *shared, *flags, *sources, "-o", str(output)], cwd=ROOT, check=True)
    return output


class _Struct(ctypes.Structure):
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name, *_ in self._fields_)})"


class SearchSizes(_Struct):
    """``iic::PatchSearchSizes``; ``type``: 0 float32, 1 float16."""

    _fields_ = [(name, ctypes.c_int) for name in ("batch", "rows", "columns", "descriptor", "best", "type")]


class MatchSizes(_Struct):
    """``iic::PatchMatchSizes``; ``type``: 0 float32, 1 float16."""

    _fields_ = [(name, ctypes.c_int) for name in ("batch", "channels", "rows", "columns", "type")]


class ReplaceSizes(_Struct):
    """``iic::PatchReplaceSizes``; ``type``: 0 float32, 1 float16."""

    _fields_ = [
        (name, ctypes.c_int) for name in ("batch", "channels", "height", "width", "rows", "columns", "best", "type")
    ]


class _SearchParams(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("q", "hole", "weight", "offset", "share")],
        ("sizes", SearchSizes),
        ("scale", ctypes.c_float),
    ]


class _MatchParams(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("features", "valid", "offset", "share", "matched", "cost")],
        ("sizes", MatchSizes),
        ("sweeps", ctypes.c_int),
        ("steps", ctypes.c_int * MOST_SWEEPS),
    ]


class _ReplaceParams(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_void_p) for name in ("detail", "inside", "offset", "share", "mixed", "missing")],
        ("sizes", ReplaceSizes),
    ]


def _function(function: Any, result: Any, struct: type[ctypes.Structure], *others: Any) -> Any:
    """A function of the library with its types: all take the address of a struct first."""
    function.restype, function.argtypes = result, [ctypes.POINTER(struct), *others]
    return function


class KernelLibrary:
    """The operators behind their C interface. Memory is given as addresses: of the device, or under the shim of the
    host; each is a multiple of 16. Safe to use from several threads: it keeps no state."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        sized = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p  # workspace, its bytes, stream
        self._search_workspace = _function(library.iic_patch_search_workspace, ctypes.c_size_t, SearchSizes)
        self._search = _function(library.iic_patch_search, ctypes.c_int, _SearchParams, *sized)
        self._match_workspace = _function(library.iic_patch_match_workspace, ctypes.c_size_t, MatchSizes)
        self._match = _function(library.iic_patch_match, ctypes.c_int, _MatchParams, *sized)
        self._replace = _function(library.iic_patch_replace, ctypes.c_int, _ReplaceParams, ctypes.c_void_p)

    def search_workspace_bytes(self, sizes: SearchSizes) -> int:
        """Bytes that :meth:`search` needs, 0 where the sizes are not allowed."""
        return int(self._search_workspace(sizes))

    def match_workspace_bytes(self, sizes: MatchSizes) -> int:
        """Bytes that :meth:`match` needs, 0 where the sizes are not allowed."""
        return int(self._match_workspace(sizes))

    def search(
        self,
        pointers: Sequence[int],
        sizes: SearchSizes,
        *,
        scale: float,
        workspace: int,
        workspace_bytes: int,
        stream: int = 0,
    ) -> int:
        """Enqueues ``iic::PatchSearch`` and returns a ``cudaError_t``.

        Args:
            pointers: addresses of q, hole, weight, offset, share.
            sizes: of the tensors.
            scale: factor of the cosine.
            workspace: address of ``workspace_bytes`` bytes.
            workspace_bytes: as :meth:`search_workspace_bytes` says.
            stream: address of the CUDA stream, 0 for the default one.
        """
        params = _SearchParams(*pointers, sizes, scale)
        return int(self._search(params, workspace, workspace_bytes, stream))

    def match(
        self,
        pointers: Sequence[int],
        sizes: MatchSizes,
        *,
        steps: Sequence[int],
        workspace: int,
        workspace_bytes: int,
        stream: int = 0,
    ) -> int:
        """Enqueues ``iic::PatchMatch`` and returns a ``cudaError_t``.

        Args:
            pointers: addresses of features, valid, offset, share, matched, cost.
            sizes: of the tensors.
            steps: of the sweeps; more than ``MOST_SWEEPS`` are refused.
            workspace: address of ``workspace_bytes`` bytes.
            workspace_bytes: as :meth:`match_workspace_bytes` says.
            stream: address of the CUDA stream, 0 for the default one.
        """
        params = _MatchParams(*pointers, sizes, len(steps), (ctypes.c_int * MOST_SWEEPS)(*steps[:MOST_SWEEPS]))
        return int(self._match(params, workspace, workspace_bytes, stream))

    def replace(self, pointers: Sequence[int], sizes: ReplaceSizes, *, stream: int = 0) -> int:
        """Enqueues ``iic::PatchReplace`` and returns a ``cudaError_t``.

        Args:
            pointers: addresses of detail, inside, offset, share, mixed, missing.
            sizes: of the tensors.
            stream: address of the CUDA stream, 0 for the default one.
        """
        return int(self._replace(_ReplaceParams(*pointers, sizes), stream))
