"""Frames of picture files and of cameras."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.decoder_noise import decoding
from iic_rt.errors import InputError
from iic_rt.image_io import read_image
from iic_rt.video.media_frames import Look
from iic_rt.video.reader import Facts, Reconnect, Stamp, logger

__all__ = ["CameraReader", "PictureReader"]

RGB_LOOK = Look("yuv420p", 1, 1, 1, 1)  # BT.709, which players assume of videos made on computers
MICROSECOND = Fraction(1, 1_000_000)


class PictureReader:
    """Pictures as frames; one that cannot be read is None, with its ``problem``. See :class:`Reader`.

    Args:
        files: in order.
        rate: frames a second.
        for_video: colour without alpha, all scaled to the first one's size.

    Raises:
        InputError: the first one cannot be read.
    """

    def __init__(self, files: Sequence[Path], *, rate: Fraction, for_video: bool) -> None:
        self._files, self._for_video = files, for_video
        self.problem: Exception | None = None
        self.counts = {"resized": 0}
        self.stamp = Stamp(0, Fraction(0))
        height, width = read_image(files[0]).shape[:2]
        self.facts = Facts(width=width, height=height, rate=rate, time_base=1 / rate, total=len(files), look=RGB_LOOK)

    def frames(self) -> Iterator[tuple[NDArray[np.uint8] | None, Stamp]]:
        assert self.facts.rate is not None
        for index, path in enumerate(self._files):
            self.stamp = Stamp(index, index / self.facts.rate, 1 / self.facts.rate, name=path.name)
            try:
                image = read_image(path)
            except InputError as error:
                self.problem = error
                yield None, self.stamp
            else:
                yield self._fitted(image) if self._for_video else image, self.stamp

    def _fitted(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, 2)
        image = image[..., :3]
        size = self.facts.width, self.facts.height
        if image.shape[1::-1] != size:
            if not self.counts["resized"]:
                logger.warning("%s has another size than the first picture and is scaled", self.stamp.name)
            self.counts["resized"] += 1
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return image

    def take_packets(self) -> list[Any]:
        return []

    def stop(self) -> None:
        """Reading a file does not wait."""

    def close(self) -> None:
        """No file stays open."""


class CameraReader:
    """Frames of a camera through OpenCV; see :class:`iic_rt.video.reader.Reader`.

    Args:
        address: its number, device or GStreamer pipeline.
        name: what messages call it.
        reconnect: seconds after which to give up a camera that is gone.

    Raises:
        InputError: the camera does not open or gives no frame.
    """

    def __init__(self, address: int | str, *, name: str, reconnect: float = 60.0) -> None:
        self._address, self._name = address, name
        self._again = Reconnect(name, reconnect)
        self.problem: Exception | None = None
        self.counts = {"resized": 0, "reconnects": 0}
        self.stamp = Stamp(0, Fraction(0))
        self._began = time.monotonic()
        self._begun = False
        self._camera = self._open()
        first = self._read()
        if first is None:
            self._camera.release()
            hint = " (csi:// needs OpenCV with GStreamer)" if isinstance(address, str) and "!" in address else ""
            raise InputError(f"{name} does not open or gives no frame{hint}; check that it is there and not in use")
        rate = self._camera.get(cv2.CAP_PROP_FPS)
        self._first: NDArray[np.uint8] | None = first
        self.facts = Facts(
            width=first.shape[1],
            height=first.shape[0],
            rate=Fraction(rate).limit_denominator(1001) if 1 <= rate <= 1000 else None,
            time_base=MICROSECOND,
            total=None,
            look=RGB_LOOK,
        )

    def _open(self) -> Any:
        is_pipeline = isinstance(self._address, str) and "!" in self._address
        return cv2.VideoCapture(self._address, cv2.CAP_GSTREAMER if is_pipeline else cv2.CAP_ANY)

    def _read(self) -> NDArray[np.uint8] | None:
        if not self._camera.grab():  # which waits for a frame
            return None
        with decoding(f"a frame of {self._name}"):
            done, image = self._camera.retrieve()
        return np.asarray(image, np.uint8) if done and image is not None else None

    def frames(self) -> Iterator[tuple[NDArray[np.uint8] | None, Stamp]]:
        size, index = (self.facts.width, self.facts.height), 0
        self._begun = True
        try:
            while not self._again.stopped.is_set():
                image, self._first = (self._first, None) if self._first is not None else (self._read(), None)
                if image is None:
                    self._reopen(index)
                    continue
                self._again.worked()
                if image.shape[1::-1] != size:
                    self.counts["resized"] += 1
                    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
                now = round((time.monotonic() - self._began) / MICROSECOND) * MICROSECOND
                self.stamp = Stamp(index, now)
                yield image, self.stamp
                index += 1
        finally:
            self._camera.release()

    def _reopen(self, index: int) -> None:
        self._camera.release()
        if not self._again.wait("no frame came"):
            if self._again.stopped.is_set():
                return
            raise InputError(f"{self._name} was lost after frame {index - 1} and did not come back; check its cable")
        self._camera = self._open()
        if self._camera.isOpened():
            self.counts["reconnects"] += 1

    def take_packets(self) -> list[Any]:
        return []

    def stop(self) -> None:
        self._again.stopped.set()

    def close(self) -> None:
        self.stop()
        if not self._begun:  # otherwise the thread that reads does it: it may wait for a frame even now
            self._camera.release()
