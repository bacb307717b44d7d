"""iic-rt: removes objects from pictures on the device itself (ProFill, ECCV 2020)."""

from iic_rt.errors import IICError
from iic_rt.inpainter import Inpainter
from iic_rt.options import InpaintOptions
from iic_rt.types import InpaintResult

__version__ = "0.1.0"
__all__ = ["IICError", "InpaintOptions", "InpaintResult", "Inpainter", "__version__"]
