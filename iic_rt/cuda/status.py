"""What the statuses of the CUDA driver mean."""

from __future__ import annotations

from typing import Any

__all__ = ["STICKY", "UNCAPTURABLE", "describe"]

UNCAPTURABLE = ("CUDA_ERROR_STREAM_CAPTURE", "CUDA_ERROR_NOT_SUPPORTED", "CUDA_ERROR_NOT_PERMITTED")  # how they begin

STICKY = {  # after one of these no call on the context works any more
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    "CUDA_ERROR_CONTAINED",
    "CUDA_ERROR_ILLEGAL_ADDRESS",
    "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    "CUDA_ERROR_ASSERT",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION",
    "CUDA_ERROR_MISALIGNED_ADDRESS",
    "CUDA_ERROR_INVALID_ADDRESS_SPACE",
    "CUDA_ERROR_INVALID_PC",
    "CUDA_ERROR_LAUNCH_FAILED",
    "CUDA_ERROR_TENSOR_MEMORY_LEAK",
    "CUDA_ERROR_EXTERNAL_DEVICE",
    "CUDA_ERROR_MPS_CLIENT_TERMINATED",
}
NEXT_STEPS = {
    "CUDA_ERROR_NO_DEVICE": "no NVIDIA GPU is visible; check `nvidia-smi`, CUDA_VISIBLE_DEVICES and, in a container, "
    "that it was started with the GPU",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "the driver was updated while it ran; restart the machine",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "the CUDA compatibility package does not work with this GPU; update "
    "the driver itself",
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": "something in the work cannot be captured; do not allocate, wait or use "
    "the default stream in it",
    "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED": "something in the work cannot be captured; do not allocate, wait or use "
    "the default stream in it",
    "CUDA_ERROR_NOT_SUPPORTED": "the device or its driver lacks this; update the driver",
}


def describe(api: Any, status: Any) -> str:
    """A status in words, with what to do about it where that is known."""
    name = getattr(status, "name", str(status))
    _, text = api.cuGetErrorString(status)
    words = text.decode() if isinstance(text, bytes) else "unknown"
    return f"{name} ({words})" + (f"; {NEXT_STEPS[name]}" if name in NEXT_STEPS else "")
