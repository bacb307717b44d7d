"""Masks of whatever moves before a camera that stands still."""

from __future__ import annotations

from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.checks import check_whole
from iic_rt.errors import InpaintWarning, InputError
from iic_rt.video.mask_source import BaseSource, Mask, colour_frame

__all__ = ["MotionMasks", "WhileWarming"]

WhileWarming = Literal["everything", "moved"]

WORK_SIDE = 640  # pixels of the longer side: finer detail is mostly noise, and the time goes with the pixels
MODES_SHARE = 0.9  # MOG2 counts colours as background until they make up this share of the past
CHANGED = 0.7  # share of the frame that moves at once: the camera moved or the light changed
SHADOW = 127  # MOG2's value for pixels that are darker and otherwise alike


class MotionMasks(BaseSource):
    """Marks what differs from the learned background (OpenCV's MOG2), without its shadow.

    The background is learned from the first frames, and again after the camera moved. Until it is known, nobody can
    say what moves. ``"everything"`` then masks the whole frame, which cannot be filled and must be left out or
    blanked: right where nobody may be seen. ``"moved"`` masks what has changed since the first frame, and misses
    whoever stood in it. Either way ``trust`` is 0 and ``warnings`` says ``"warming up"``.

    Args:
        warmup: frames until the background is known; a second or two of them.
        while_warming: ``"everything"`` or ``"moved"``.
        background: uint8 image of the empty scene, of the size of the frames; no frame is needed to learn it then.
        absorb: frames after which a thing that stands still counts as background and is not marked any more.
        smallest: share of the frame below which a thing that moves is not marked.

    Raises:
        InputError: an option is out of range.
    """

    def __init__(
        self,
        *,
        warmup: int = 50,
        while_warming: WhileWarming = "everything",
        background: NDArray[np.uint8] | None = None,
        absorb: int = 1500,
        smallest: float = 0.0005,
    ) -> None:
        if while_warming not in get_args(WhileWarming):
            raise InputError(f"while_warming is {while_warming!r}; allowed: {', '.join(get_args(WhileWarming))}")
        warmup, absorb = (
            check_whole(value, name, "a whole number of frames from 1 up", least=1)
            for value, name in ((warmup, "warmup"), (absorb, "absorb"))
        )
        if not isinstance(smallest, int | float) or not 0 <= smallest < 1:
            raise InputError(f"smallest is {smallest}; allowed: a share of the frame from 0 to below 1")
        self._warmup, self._while_warming, self._smallest = warmup, while_warming, smallest
        self._background = None if background is None else colour_frame(background)
        self._rate = _rate(absorb)
        # -1: every frame counts as much as all before it together, which is fast and absorbs who moves slowly. Where
        # that is marked already, what the first frame hid is absorbed by the end.
        self._first_rate = -1.0 if while_warming == "everything" else _rate(warmup)
        self._shape: tuple[int, ...] = ()
        self._seen = 0  # frames since learning began

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask | None:
        image = colour_frame(frame)
        if image.shape != self._shape:
            if self._background is not None and self._background.shape != image.shape:
                raise InputError(
                    f"the background is {self._background.shape[1]}x{self._background.shape[0]} and frame {index} "
                    f"{image.shape[1]}x{image.shape[0]} pixels (width x height); they must be equal"
                )
            self._shape = image.shape
            self._start()
        small = self._small(image)
        moving = self._look(small)
        if self._known() and cv2.countNonZero(moving) > CHANGED * moving.size:
            # The picture of the empty scene is of another view, or in another light, from now on.
            self._background = None
            self._start()
            moving = self._look(small)
        if self._known():
            self.trust, self.warnings = 1.0, ()
        else:
            self.trust = 0.0
            masked = (
                "the whole frame is masked" if self._while_warming == "everything" else "who stands still is missed"
            )
            text = f"frame {self._seen} of {self._warmup} from which the background is learned: {masked}"
            self.warnings = (InpaintWarning("warming up", text),)
            if self._while_warming == "everything":
                return np.full(image.shape[:2], 255, np.uint8)
        return self._whole(moving, image.shape[:2])

    def _known(self) -> bool:
        return self._background is not None or self._seen > self._warmup

    def _start(self) -> None:
        self._seen = 0
        self._model = cv2.createBackgroundSubtractorMOG2(detectShadows=True)
        self._model.setShadowValue(SHADOW)
        if self._background is not None:
            self._model.apply(self._small(self._background))

    def _look(self, small: Mask) -> Mask:
        """Pixels that differ from the background; the frame is learned at the same time."""
        rate = self._rate if self._known() else self._first_rate
        self._seen += 1
        moving = self._model.apply(small, learningRate=rate)
        return np.asarray(cv2.threshold(moving, SHADOW, 255, cv2.THRESH_BINARY)[1], np.uint8)

    @staticmethod
    def _small(image: Mask) -> Mask:
        scale = min(1.0, WORK_SIDE / max(image.shape[:2]))
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _whole(self, moving: Mask, shape: tuple[int, ...]) -> Mask | None:
        """Single pixels dropped, gaps and holes closed, small things dropped, at the size of the frame."""
        moving = np.asarray(cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        side = max(5, max(moving.shape) // 64 | 1)  # the head and the body of a person are one thing
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        moving = np.asarray(cv2.morphologyEx(moving, cv2.MORPH_CLOSE, ellipse), np.uint8)
        outlines, _ = cv2.findContours(moving, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        large = [o for o in outlines if cv2.contourArea(o) >= self._smallest * moving.size]
        if not large:
            return None
        filled = np.zeros_like(moving)
        cv2.drawContours(filled, large, -1, 255, cv2.FILLED)
        filled = np.asarray(
            cv2.dilate(filled, np.ones((3, 3), np.uint8)), np.uint8
        )  # soft edges, and the smaller scale
        return np.asarray(cv2.resize(filled, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8)


def _rate(frames: int) -> float:
    """The learning rate at which a colour counts as background after so many frames.

    Seen all the time, it has the weight 1 - (1 - rate)^n after n frames, and MOG2 leaves a share of the weight to what
    passes.
    """
    return float(1 - MODES_SHARE ** (1 / frames))
