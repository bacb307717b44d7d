"""Writes the masks in use, so that a wrong one is seen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from iic_rt.errors import OutputError
from iic_rt.files import write_bytes
from iic_rt.image_io import IMAGE_SUFFIXES
from iic_rt.video.mask_source import Mask

__all__ = ["MaskWriter"]


class MaskWriter:
    """Writes every mask as a PNG of one bit, named by the number of its frame: ``000000.png``, ``000001.png``, ...

    The folder can be used as a source of masks again, if no frame was dropped.

    Args:
        folder: made if it does not exist; it must hold no image, since masks of an older run would mix with the new.

    Raises:
        OutputError: the folder cannot be made, or holds images.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            old = next((p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES), None)
        except OSError as error:
            raise OutputError(f"cannot write masks to {folder}: {error.strerror}") from error
        if old is not None:
            raise OutputError(f"cannot write masks to {folder}: it holds {old.name} already; empty it or name another")
        self._folder = folder

    def write(self, mask: Mask | None, shape: tuple[int, int], index: int) -> None:
        """Writes a mask, uint8 [H, W] in {0, 255}; None is written as a black one of the given height and width.

        Raises:
            OutputError: the folder cannot be written to.
        """
        pixels = np.zeros(shape, np.uint8) if mask is None else mask
        path = self._folder / f"{index:06d}.png"
        done, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_BILEVEL, 1])
        if not done:
            raise OutputError(f"cannot write {path}: OpenCV refuses a mask of shape {pixels.shape}")
        write_bytes(path, encoded.tobytes())
