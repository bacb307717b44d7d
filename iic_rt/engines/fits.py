"""Which engine runs where: the library's version and the device that it was built for."""

from __future__ import annotations

import re

from iic_rt.engines.build import BuildOptions
from iic_rt.engines.engine_library import EngineLibrary
from iic_rt.errors import BackendError

__all__ = ["built_for", "fits_device", "fits_version"]

ANY = "any"
PORTABLE_FROM = "8.0"  # TensorRT-RTX engines and hardware-compatible ones run on Ampere and later


def built_for(library: EngineLibrary, compute_capability: str | None, options: BuildOptions) -> tuple[str, str]:
    """Version and device that an engine built now is good for, as a manifest and the cache write them down.

    Args:
        library: that builds.
        compute_capability: of the device, such as ``"8.7"``; None where there is none.
        options: it is built with.

    Returns:
        ``"10.3.0"``, or ``"10.3.0+"`` for a version-compatible engine; ``"8.7"``, or ``"8.0+"`` for a
        hardware-compatible engine, or ``"any"`` for one of TensorRT-RTX.

    Raises:
        BackendError: there is no device and the target needs one, or the device is too old for the engine.
    """
    version = f"{library.version}+" if options.version_compatible else library.version
    if compute_capability is None and library.target != "tensorrt-rtx":
        raise BackendError(f"{library.target} builds engines on the device they are for, and none was found here")
    portable = library.target == "tensorrt-rtx" or options.hardware_compatible
    if portable and compute_capability is not None and _number(compute_capability) < _number(PORTABLE_FROM):
        raise BackendError(
            f"engines that run on many devices need compute capability {PORTABLE_FROM} or newer, and this device has "
            f"{compute_capability}; use the target tensorrt without hardware compatibility"
        )
    if library.target == "tensorrt-rtx":
        return version, ANY
    return version, f"{PORTABLE_FROM}+" if options.hardware_compatible else str(compute_capability)


def fits_version(built: str, running: str) -> bool:
    """Whether an engine of version ``built`` runs in ``running``; ``"10.3.0+"`` does in later ones of 10 as well."""
    if not built.endswith("+"):
        return built == running
    old, new = _number(built.rstrip("+")), _number(running)
    return old[0] == new[0] and old <= new


def fits_device(built: str, device: str | None) -> bool:
    """Whether an engine for ``built`` runs on ``device``; ``"8.0+"`` does on later devices as well."""
    if built == ANY or device is None:
        return built == ANY
    return _number(device) >= _number(built.rstrip("+")) if built.endswith("+") else built == device


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split(".post")[0]))
