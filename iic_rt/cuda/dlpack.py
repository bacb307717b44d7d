"""DLPack capsules in and out, after the public ABI (dlpack.h, version 0.8: without flags)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["BOOL", "CUDA", "CUDA_MANAGED", "UINT8", "Tensor", "from_capsule", "to_capsule"]

CUDA, CUDA_MANAGED = 2, 13  # device types
UINT8, BOOL = (1, 8, 1), (6, 8, 1)  # type code, bits, lanes
NAME, USED = b"dltensor", b"used_dltensor"


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _DLManagedTensor(ctypes.Structure):
    _fields_ = (("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


class Tensor(NamedTuple):
    """What a capsule describes; strides count elements."""

    address: int
    device: tuple[int, int]  # type and number
    dtype: tuple[int, int, int]
    shape: tuple[int, ...]
    strides: tuple[int, ...]


# The interpreter's own functions, with types that suit an object that is being destroyed as well.
_destructor_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _destructor_type)(
    ("PyCapsule_New", ctypes.pythonapi)
)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", ctypes.pythonapi))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_SetName", ctypes.pythonapi))

_lent: dict[int, tuple[Any, ...]] = {}  # by address of the managed tensor, what it points to


def _forget(managed: int) -> None:
    _lent.pop(managed, None)


def _destroy(capsule: int) -> None:
    if _is_valid(capsule, NAME):  # nobody took the tensor out
        _forget(_pointer(capsule, NAME))


_take_back, _destroy_capsule = _Deleter(_forget), _destructor_type(_destroy)  # kept: C calls them


def to_capsule(tensor: Tensor, owner: object) -> object:
    """A capsule that lends ``tensor``; ``owner`` lives until the borrower is done with it."""
    dims = ctypes.c_int64 * len(tensor.shape)
    shape, strides = dims(*tensor.shape), dims(*tensor.strides)
    inner = _DLTensor(tensor.address, *tensor.device, len(tensor.shape), *tensor.dtype, shape, strides, 0)
    managed = _DLManagedTensor(inner, None, _take_back)
    address = ctypes.addressof(managed)
    _lent[address] = managed, shape, strides, owner
    return _new(address, NAME, _destroy_capsule)


def from_capsule(capsule: object) -> tuple[Tensor, Callable[[], None]]:
    """The tensor in a capsule, and what gives it back to its owner, once.

    Raises:
        ValueError: it is no capsule of DLPack, or its tensor was taken out before.
    """
    handle = id(capsule)
    if type(capsule).__name__ != "PyCapsule" or not _is_valid(handle, NAME):
        raise ValueError("__dlpack__() returned no unused capsule named dltensor")
    managed = _DLManagedTensor.from_address(_pointer(handle, NAME))
    _rename(handle, USED)
    inner, left = managed.tensor, [managed]

    def give_back() -> None:
        while left:
            owned = left.pop()
            if owned.deleter:
                owned.deleter(ctypes.addressof(owned))

    shape = tuple(inner.shape[: inner.ndim])
    strides = tuple(inner.strides[: inner.ndim]) if inner.strides else dense_strides(shape)
    tensor = Tensor(
        (inner.data or 0) + inner.byte_offset,
        (inner.device_type, inner.device_id),
        (inner.code, inner.bits, inner.lanes),
        shape,
        strides,
    )
    return tensor, give_back


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a C-contiguous array, in elements."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= size
    return tuple(strides)
