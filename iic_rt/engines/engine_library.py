"""The engine library: classic TensorRT as the device has it, or TensorRT-RTX, behind one set of names."""

from __future__ import annotations

import ctypes
import functools
import importlib
import logging
import re
from collections import deque
from pathlib import Path
from typing import Any

from iic_rt.bundle.manifest import OPERATORS, OPERATORS_VERSION, file_sha256
from iic_rt.engines.folders import plugin_path
from iic_rt.errors import BackendError

__all__ = ["TARGETS", "EngineLibrary", "open_library"]

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
OLDEST = {"tensorrt": (10, 3), "tensorrt-rtx": (1, 7)}
INSTALL = {
    "tensorrt": "it comes with the device: JetPack, `apt install tensorrt` from NVIDIA's repository, or NVIDIA's "
    "TensorRT container; a virtual environment sees it when it was made with --system-site-packages",
    "tensorrt-rtx": "run `pip install 'iic-rt[tensorrt-rtx]'`",
}
TARGETS = tuple(MODULES)
MAX_MESSAGES = 8  # of the library that an error quotes

_log = logging.getLogger("iic_rt.engines")


class EngineLibrary:
    """An imported engine library; :func:`open_library` makes it.

    Attributes:
        target: ``"tensorrt"`` or ``"tensorrt-rtx"``.
        trt: the module.
        version: of the module.
        logger: the ``ILogger`` to give to builders, parsers and runtimes. What it is told goes to the logger
            ``iic_rt.engines`` at DEBUG; errors are kept for :meth:`errors`.
    """

    def __init__(self, target: str, trt: Any) -> None:
        self.target, self.trt, self.version = target, trt, str(trt.__version__)
        self._errors: deque[str] = deque(maxlen=MAX_MESSAGES)
        self.logger: Any = _make_logger(trt, self._errors)
        self._plugin_sha256: str | None = None

    def errors(self) -> str:
        """What the library complained of since the last call, as one line for an error message."""
        found = []
        while self._errors:
            found.append(self._errors.popleft())
        return "; ".join(dict.fromkeys(found)) or "it gave no reason"

    def load_plugin(self) -> str:
        """Makes the operators known to the library, once; returns the SHA-256 of the plugin's file.

        Raises:
            BackendError: there is no plugin library, or it cannot be loaded; the message says how to build it.
        """
        if self._plugin_sha256 is None:
            path = plugin_path()
            build = (
                "`cpp_ext/plugin/install.sh` in a checkout of iic-rt (it needs nvcc, CMake and TensorRT's headers); "
                "IIC_RT_PLUGIN may name a file elsewhere"
            )
            if not path.is_file():
                raise BackendError(
                    f"{self.target} needs the plugin of {_operators()}, and there is no {path}; build it with {build}"
                )
            sha256 = file_sha256(path)
            if not self._knows_plugin():  # the registry is the process's, and another library object may have done it
                self.trt.get_plugin_registry().load_library(str(path))
            if not self._knows_plugin():
                raise BackendError(
                    f"{self.target} {self.version} cannot load the plugin {path}: {_why_not(path)}. Build it again "
                    f"with {build}"
                )
            self._plugin_sha256 = sha256
        return self._plugin_sha256

    def _knows_plugin(self) -> bool:
        registry, version = self.trt.get_plugin_registry(), str(OPERATORS_VERSION)
        return all(registry.get_creator(name, version, "iic") is not None for name in OPERATORS)


def _why_not(path: Path) -> str:
    """The reason why a library does not load, which the registry keeps to itself."""
    try:
        ctypes.CDLL(str(path))
    except OSError as error:
        return str(error)
    return f"it does not hold {_operators()}, version {OPERATORS_VERSION}"


def _operators() -> str:
    *others, last = (f"iic::{name}" for name in OPERATORS)
    return f"{', '.join(others)} and {last}"


def _make_logger(trt: Any, errors: deque[str]) -> Any:
    severity = trt.ILogger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]  # the module is known at run time only
        def __init__(self) -> None:
            super().__init__()

        def log(self, level: Any, message: str) -> None:
            if level in (severity.INTERNAL_ERROR, severity.ERROR):
                errors.append(" ".join(message.split()))
            if level != severity.VERBOSE:
                _log.debug("%s: %s", level.name, message)

    return Logger()


@functools.cache  # the library has one plugin registry a process and wants one logger
def open_library(target: str) -> EngineLibrary:
    """Imports the library of a target and checks its version.

    Args:
        target: one of ``TARGETS``.

    Raises:
        BackendError: the target is unknown, the library is not installed or too old; the message says what to install.
    """
    if target not in MODULES:
        raise BackendError(f"no engine library {target!r}; there are: {', '.join(TARGETS)}")
    try:
        trt = importlib.import_module(MODULES[target])
    except (ImportError, OSError) as error:  # OSError: a shared library under the module is missing
        raise BackendError(f"{target} cannot be imported ({error}); {INSTALL[target]}") from error
    version, oldest = str(trt.__version__), OLDEST[target]
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < oldest:
        needed = ".".join(map(str, oldest))
        raise BackendError(f"{target} {version} is too old, {needed} or newer is needed; {INSTALL[target]}")
    if target == "tensorrt-rtx":
        from iic_rt.engines.rtx_library import prepare_rtx_library

        prepare_rtx_library()
    return EngineLibrary(target, trt)
