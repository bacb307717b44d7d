"""iic-rt: removes objects from images on the device itself (ProFill, ECCV 2020)."""

from typing import TYPE_CHECKING, Any

from iic_rt._version import __version__
from iic_rt.errors import IICError

if TYPE_CHECKING:
    from iic_rt.inpainter import Inpainter
    from iic_rt.options import InpaintOptions
    from iic_rt.result import InpaintResult

__all__ = ["IICError", "InpaintOptions", "InpaintResult", "Inpainter", "__version__"]

WHERE = {"InpaintOptions": "options", "InpaintResult": "result", "Inpainter": "inpainter"}


def __getattr__(name: str) -> Any:
    """The classes, imported when they are first asked for: numpy and OpenCV take a while, which the command must not
    spend before it can answer to Ctrl-C."""
    if name not in WHERE:
        raise AttributeError(f"module 'iic_rt' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"iic_rt.{WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
