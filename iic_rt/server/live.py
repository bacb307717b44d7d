"""A camera or video, filled as it runs, for any number of viewers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.inpainter import Inpainter
from iic_rt.video import VideoInpainter
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.job import Report, run_job
from iic_rt.video.mask_source import Mask, MaskSource
from iic_rt.video.picture_writer import NoWriter
from iic_rt.video.places import Source
from iic_rt.video.reader import Reader

__all__ = ["BOUNDARY", "LiveView"]

logger = logging.getLogger("iic_rt.server")

BOUNDARY = "frame"
QUALITY = 80  # of the JPEGs
AGAIN = 5.0  # seconds after which a camera that failed is opened again


class DrawnMask:
    """The mask that was drawn last; before one is, and after it was taken away, that of another source.

    Args:
        first: the other source; None for no mask.
    """

    def __init__(self, first: MaskSource | None) -> None:
        self._first = first
        self.drawn: NDArray[np.uint8] | None = None

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask | None:
        drawn = self.drawn
        if drawn is not None:
            return drawn
        return None if self._first is None else self._first.mask(frame, index, pts)

    def close(self) -> None:
        if self._first is not None:
            self._first.close()


class LiveView:
    """Fills the frames of a source in threads of its own and shows the newest.

    A frame is encoded once, and only while somebody looks; a viewer who is slow misses frames and holds nobody up.

    Args:
        source: of the frames.
        open_reader: opens it.
        open_mask: opens the source of masks that holds until one is drawn; it may give None for no mask.
        open_inpainter: makes the inpainter, which is the view's own.
    """

    def __init__(
        self,
        source: Source,
        *,
        open_reader: Callable[[], Reader],
        open_mask: Callable[[], MaskSource | None],
        open_inpainter: Callable[[], Inpainter],
    ) -> None:
        self._source, self._open_reader, self._open_mask = source, open_reader, open_mask
        self._open_inpainter = open_inpainter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="iic-rt live", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._number = 0
        self._image: NDArray[np.uint8] | None = None
        self._encoded: tuple[int, asyncio.Future[bytes]] | None = None
        self._report: Report | None = None
        self._drawn: DrawnMask | None = None
        self._size: tuple[int, int] | None = None
        self._error = ""
        self.viewers = 0
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Begins, in a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Asks for the end, which viewers see at once."""
        self._stop.set()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    def close(self) -> None:
        """Stops, and waits for the threads."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the frames; None before the first."""
        return self._size

    def draw(self, mask: NDArray[np.uint8] | None) -> None:
        """Sets the mask of the frames to come, uint8 [H, W], 255 = remove; None takes it away.

        Raises:
            InputError: its size is not that of the frames, or there is no frame yet.
        """
        if self._drawn is None or self._size is None:
            raise InputError("the camera has not given a frame yet; send the mask again")
        if mask is not None and mask.shape[::-1] != self._size:
            width, height = self._size
            raise InputError(f"the mask is {mask.shape[1]}x{mask.shape[0]} and the frames {width}x{height} pixels")
        self._drawn.drawn = mask

    def stats(self) -> dict[str, Any]:
        """Counts of the stream, as :class:`iic_rt.video.VideoStats` has them, and what else there is to know."""
        report, size = self._report, self._size or (None, None)
        counts = {} if report is None else asdict(report.stats)
        return counts | {
            "width": size[0],
            "height": size[1],
            "viewers": self.viewers,
            "running": self._thread.is_alive(),
            "error": self._error,
            "mask_drawn": self._drawn is not None and self._drawn.drawn is not None,
        }

    async def jpegs(self) -> AsyncIterator[bytes]:
        """The newest frame, again and again, until the view ends."""
        seen = 0
        self.viewers += 1
        try:
            while not self._stop.is_set():
                if self._number == seen:
                    await self._changed.wait()
                    continue
                seen = self._number
                yield await self._jpeg()
        finally:
            self.viewers -= 1

    async def _jpeg(self) -> bytes:
        """The newest frame, encoded for all viewers at once."""
        if self._encoded is None or self._encoded[0] != self._number:
            assert self._image is not None
            future = asyncio.ensure_future(asyncio.to_thread(_encode, self._image))
            self._encoded = self._number, future
        return await asyncio.shield(self._encoded[1])

    def show(self, image: NDArray[np.uint8]) -> None:
        """Takes a filled frame; called in the view's thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._set_image, image)

    def _set_image(self, image: NDArray[np.uint8]) -> None:
        self._image = image
        self._number += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _run(self) -> None:
        """Fills until it is stopped; a camera that failed later than at the beginning is opened again."""
        while not self._stop.is_set():
            try:
                self._fill()
            except Exception as error:
                if self._report is None:
                    self.failure = error
                    return
                self._error = str(error)
            if self._error:
                logger.warning("the camera stopped: %s", self._error)
            if not self._source.live or self._stop.wait(AGAIN):
                return

    def _fill(self) -> None:
        with self._open_inpainter() as inpainter, closing(self._open_reader()) as reader:
            drawn = DrawnMask(self._open_mask())
            if self._drawn is not None:
                drawn.drawn = self._drawn.drawn
            self._drawn, self._size = drawn, (reader.facts.width, reader.facts.height)
            with open_masks(drawn) as masks:
                report = run_job(
                    reader,
                    masks,
                    VideoInpainter(inpainter, policy="newest" if self._source.live else "block"),
                    NoWriter(),
                    live=self._source.live,
                    paced=not self._source.live,
                    preview=self,
                    stop=self._stop,
                    shown=self._note,
                )
        self._report, self._error = report, report.error

    def _note(self, report: Report) -> None:
        self._report, self._error = report, ""


def _encode(image: NDArray[np.uint8]) -> bytes:
    colours = image if image.ndim == 2 else image[..., :3]
    done, jpeg = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return jpeg.tobytes() if done else b""
