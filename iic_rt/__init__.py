"""iic-rt: removes objects from images on the device itself (ProFill, ECCV 2020)."""

from __future__ import annotations

from iic_rt._version import __version__

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would take as long as all else here
if TYPE_CHECKING:
    from typing import Any

    from iic_rt.errors import IICError
    from iic_rt.inpainter import Inpainter
    from iic_rt.options import InpaintOptions
    from iic_rt.pool import InpainterPool
    from iic_rt.result import InpaintResult

__all__ = ["IICError", "InpaintOptions", "InpaintResult", "Inpainter", "InpainterPool", "__version__"]

WHERE = {
    "IICError": "errors",
    "InpaintOptions": "options",
    "InpaintResult": "result",
    "Inpainter": "inpainter",
    "InpainterPool": "pool",
}


def __getattr__(name: str) -> Any:
    """The classes and ``iic_rt.errors``, imported when they are first asked for.

    numpy and OpenCV take a while, which the command must not spend before it can answer to Ctrl-C.
    """
    from importlib import import_module

    if name == "errors":
        return import_module("iic_rt.errors")
    if name not in WHERE:
        raise AttributeError(f"module 'iic_rt' has no attribute {name!r}")
    return getattr(import_module(f"iic_rt.{WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
