"""Builds the kernels as a shared library, with nvcc for a GPU or with g++ under the host shim, and calls it."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "LIBRARY_SOURCES",
    "SANITIZE_SOURCES",
    "PatchReplaceLibrary",
    "build_device",
    "build_host",
    "host_compiler_works",
]

ROOT = Path(__file__).parent
LIBRARY_SOURCES = ("kernels/patch_replace.cu", "kernels/c_abi.cpp")
SANITIZE_SOURCES = ("kernels/patch_replace.cu", "host/sanitize.cpp")


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


class PatchReplaceLibrary:
    """``iic::PatchReplace`` behind its C interface. Memory is given as addresses: of the device, or under the shim of
    the host. Safe to use from several threads: it keeps no state."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self._workspace = library.iic_patch_replace_workspace
        self._workspace.restype = ctypes.c_size_t
        self._workspace.argtypes = [ctypes.c_int] * 5
        self._run = library.iic_patch_replace
        self._run.restype = ctypes.c_int
        self._run.argtypes = [
            *[ctypes.c_void_p] * 7,
            *[ctypes.c_int] * 4,
            ctypes.c_float,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_size_t,
            ctypes.c_void_p,
        ]

    def workspace_bytes(self, sizes: Sequence[int], *, half: bool) -> int:
        """Bytes for ``sizes`` = (batch, patches, descriptor, width), 0 where they are not allowed."""
        return int(self._workspace(*sizes, int(half)))

    def enqueue(
        self,
        pointers: Sequence[int],
        sizes: Sequence[int],
        *,
        scale: float,
        half: bool,
        workspace: int,
        workspace_bytes: int,
        stream: int = 0,
    ) -> int:
        """Enqueues the operator and returns a ``cudaError_t``.

        Args:
            pointers: addresses of q, k, v, hole, weight, out, replaced; 16-byte aligned.
            sizes: batch, patches, descriptor, width.
            scale: factor of the cosine.
            half: float16 instead of float32.
            workspace: address of ``workspace_bytes`` bytes.
            stream: address of the CUDA stream, 0 for the default one.
        """
        return int(self._run(*pointers, *sizes, scale, int(half), workspace, workspace_bytes, stream))
