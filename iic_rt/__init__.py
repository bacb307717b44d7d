"""iic-rt: removes objects from images on the device itself (ProFill, ECCV 2020)."""

from iic_rt._version import __version__
from iic_rt.errors import IICError
from iic_rt.inpainter import Inpainter
from iic_rt.options import InpaintOptions
from iic_rt.pool import InpainterPool
from iic_rt.result import InpaintResult

__all__ = ["IICError", "InpaintOptions", "InpaintResult", "Inpainter", "InpainterPool", "__version__"]
