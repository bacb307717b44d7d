"""The caller's CUDA stream, whichever library it comes from."""

from __future__ import annotations

from iic_rt.errors import BackendError

__all__ = ["stream_address"]


def stream_address(stream: object) -> int:
    """Address of a stream; the stream stays its owner's.

    Args:
        stream: an address as int, or an object with ``__cuda_stream__()`` (CUDA Python's protocol), ``handle`` (pycuda,
            cuda-core), ``ptr`` (CuPy) or ``cuda_stream`` (PyTorch). 0 and 1 are the legacy default stream.

    Raises:
        BackendError: it is none of these.
    """
    found: object = stream
    if hasattr(stream, "__cuda_stream__"):
        version, found = stream.__cuda_stream__()
        if version != 0:
            raise BackendError(f"stream speaks version {version} of the __cuda_stream__ protocol; 0 is known")
    else:
        for attribute in ("handle", "ptr", "cuda_stream"):
            if hasattr(stream, attribute):
                found = getattr(stream, attribute)
                break
    try:
        if not isinstance(found, bool):
            return int(found)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        pass
    raise BackendError(
        f"stream is a {type(stream).__name__}; give an address as int, or an object with __cuda_stream__(), handle, "
        "ptr or cuda_stream"
    )
