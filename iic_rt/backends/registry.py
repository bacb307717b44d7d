"""The backends by name, and the choice between them."""

from __future__ import annotations

import logging

from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.openvino import OpenVinoBackend
from iic_rt.backends.tensorrt import TensorRTBackend, TensorRTRtxBackend
from iic_rt.bundle.manifest import Bundle
from iic_rt.contract import Backend
from iic_rt.errors import BackendError, BundleError
from iic_rt.no_memory import loading_told

__all__ = ["BACKENDS", "backend_versions", "open_backend"]

BACKENDS: dict[str, type[Backend]] = {
    backend.name: backend for backend in (TensorRTBackend, TensorRTRtxBackend, OpenVinoBackend, OnnxRuntimeBackend)
}
"""Every backend of this version, the fastest first: the order in which ``"auto"`` tries them."""

_log = logging.getLogger("iic_rt")


def backend_versions() -> dict[str, dict[str, str]]:
    """By backend, the ``version`` of the engine underneath, or why it is ``missing``."""
    found: dict[str, dict[str, str]] = {}
    for name, backend in BACKENDS.items():
        try:
            found[name] = {"version": backend.version()}
        except BackendError as error:
            found[name] = {"missing": str(error)}
    return found


def open_backend(
    name: str,
    bundle: Bundle,
    *,
    precision: str | None = None,
    threads: int | None = None,
    stream: object | None = None,
) -> Backend:
    """Opens the backend ``name``, or with ``"auto"`` the fastest that really loads; its ``name`` tells which.

    What ``"auto"`` chose, and why faster ones were passed over, goes to the logger ``iic_rt`` at INFO.

    Args:
        name: ``"auto"`` or one of ``BACKENDS``.
        bundle: what it runs.
        precision: None for the backend's default; with ``"auto"``, backends without it are passed over.
        threads: of the CPU, None for the engine's default.
        stream: a CUDA stream of the application; with ``"auto"``, backends on the CPU are passed over.

    Raises:
        BackendError: the backend is unknown, missing, or refuses the bundle. There is no silent fallback.
    """
    if name != "auto":
        if name not in BACKENDS:
            raise BackendError(f"no backend {name!r}; this version has: auto, {', '.join(BACKENDS)}")
        with loading_told():
            return BACKENDS[name](bundle, precision=precision, threads=threads, stream=stream)
    reasons = []
    for backend in BACKENDS.values():
        try:
            with loading_told():
                opened = backend(bundle, precision=precision, threads=threads, stream=stream)
        except (BackendError, BundleError) as error:
            reasons.append(f"{backend.name}: {error}")
            _log.info("backend passed over, %s", reasons[-1])
        else:
            _log.info("backend %s chosen, in %s", opened.name, opened.precision)
            return opened
    raise BackendError("no backend could be opened. " + "; ".join(reasons))
