"""The import of an engine's library, which would otherwise report to its maker."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["import_engine"]

# ONNX Runtime reads it once, when it is imported, and otherwise makes a database and an identifier under ~/.cache.
SWITCH = "ORT_DISABLE_TELEMETRY"
# OpenVINO imports this package, where it is installed, and has it send the event "import" and write to ~/intel. Where
# the import fails it takes a stub of its own.
REPORTER = "openvino_telemetry"

_lock = threading.Lock()


def import_engine(name: str) -> Any:
    """The module ``name``, imported without telemetry; one that the application has imported before is left as it is.

    Nothing of it outlasts the import: neither files of the user nor the environment of later processes are changed.

    Raises:
        ImportError: as the import does.
    """
    if name in sys.modules:
        return importlib.import_module(name)  # waits where another thread is importing it
    with _lock, _no_telemetry():
        return importlib.import_module(name)


@contextmanager
def _no_telemetry() -> Iterator[None]:
    switch, had_reporter, reporter = os.environ.get(SWITCH), REPORTER in sys.modules, sys.modules.get(REPORTER)
    os.environ[SWITCH] = "1"
    sys.modules[REPORTER] = None  # type: ignore[assignment]  # the import system's word for: not to be found
    try:
        yield
    finally:
        if switch is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = switch
        if had_reporter:
            sys.modules[REPORTER] = reporter  # type: ignore[assignment]
        else:
            del sys.modules[REPORTER]
