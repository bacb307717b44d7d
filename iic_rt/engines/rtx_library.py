"""A cure for TensorRT-RTX wheels whose parser does not find the runtime library that lies beside it."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import struct
import sys

from iic_rt.errors import BackendError

__all__ = ["prepare_rtx_library"]

ASKED = "libtensorrt_rtx.so"  # what the parser loads when a graph has a plugin
SHIPPED = "libtensorrt_rtx.so.1"  # what the wheel has
MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine


def prepare_rtx_library() -> None:
    """Makes ``libtensorrt_rtx.so`` loadable in this process; call it before the ONNX parser of TensorRT-RTX runs.

    The parser loads that name for every graph with a plugin, the wheel ships ``libtensorrt_rtx.so.1`` alone, and the
    process is aborted. The loader takes an object that it has loaded already when the name equals the object's SONAME,
    so an empty library of this SONAME, which needs the shipped one, is written into memory and loaded. Nothing is done
    where the name is found without it: an installation of the SDK, another system than Linux, a second call.

    Raises:
        BackendError: ``tensorrt_rtx`` is not installed or cannot be loaded, or this is a machine it is not made for.
    """
    try:
        importlib.import_module("tensorrt_rtx")
    except ImportError as error:
        raise BackendError(
            f"TensorRT-RTX cannot be imported ({error}); install it with `pip install 'iic-rt[tensorrt-rtx]'`"
        ) from error
    if not sys.platform.startswith("linux") or _is_loadable(ASKED):
        return
    if platform.machine() not in MACHINES:
        raise BackendError(f"TensorRT-RTX is prepared on {' and '.join(MACHINES)}, and this is {platform.machine()}")
    image = _forwarding_library(soname=ASKED, needed=SHIPPED, machine=MACHINES[platform.machine()])
    descriptor = os.memfd_create(ASKED)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(image)
        ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    except OSError as error:
        raise BackendError(
            f"{ASKED} cannot be made loadable ({error}); put a link of this name to {SHIPPED} into a folder that "
            "LD_LIBRARY_PATH names"
        ) from error
    finally:
        os.close(descriptor)


def _is_loadable(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _forwarding_library(*, soname: str, needed: str, machine: int) -> bytes:
    """An ELF library without code or symbols: symbols that are asked of it come from the one that it needs."""
    header_bytes, program_header_bytes, programs = 64, 56, 3
    strings = f"\0{soname}\0{needed}\0".encode()
    strings_at = header_bytes + programs * program_header_bytes
    symbols_at = -(-(strings_at + len(strings)) // 8) * 8
    symbol_bytes = 24  # the empty symbol that every table begins with
    dynamic_at = symbols_at + symbol_bytes
    entries = [
        (1, 2 + len(soname)),  # DT_NEEDED
        (14, 1),  # DT_SONAME
        (5, strings_at),  # DT_STRTAB
        (10, len(strings)),  # DT_STRSZ
        (6, symbols_at),  # DT_SYMTAB
        (11, symbol_bytes),  # DT_SYMENT
        (0, 0),
    ]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    size = dynamic_at + len(dynamic)
    read_write = 6  # the loader writes addresses into the dynamic section

    def program(kind: int, at: int, length: int, alignment: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, read_write, at, at, at, length, length, alignment)

    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)  # 64 bit, little endian
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, 3, machine, 1, 0, 64, 0, 0, 64, 56, programs, 0, 0, 0)
    parts = header + program(1, 0, size, 0x10000)  # PT_LOAD, aligned to the largest page
    parts += program(2, dynamic_at, len(dynamic), 8)  # PT_DYNAMIC
    parts += program(0x6474E551, 0, 0, 16)  # PT_GNU_STACK: no code on the stack
    return (parts + strings).ljust(symbols_at, b"\0") + bytes(symbol_bytes) + dynamic
