"""Masks that lie ready: one for all frames, a stack, a folder of images, a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.image_io import IMAGE_SUFFIXES, read_mask
from iic_rt.video.mask_source import BaseSource, Mask, as_mask

__all__ = ["VIDEO_SUFFIXES", "FolderMasks", "OneMask", "StackMasks", "VideoMasks", "natural_order"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".gif")


def natural_order(path: Path) -> list[tuple[int, int, str]]:
    """A key for sorting: numbers in a name count as numbers, so frame2 comes before frame10."""
    parts = re.findall(r"\d+|\D+", path.name)
    # Longer numbers are no numbers of frames, and Python refuses to read very long ones.
    return [(0, int(part[:300]), part) if part[0].isdecimal() else (1, 0, part) for part in parts]


class OneMask(BaseSource):
    """The same mask for every frame.

    Args:
        mask: bool or uint8 [H, W] or [H, W, 1].
        name: what errors call it.
        inverted: whether black is removed.

    Raises:
        InputError: wrong type or shape.
    """

    def __init__(self, mask: NDArray[Any], name: str = "the mask", *, inverted: bool = False) -> None:
        self._mask = as_mask(mask, name, inverted=inverted)
        self._name = name

    def describe(self, index: int) -> str:
        return self._name

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask:
        return self._mask


class StackMasks(BaseSource):
    """One mask of an array for every frame.

    Args:
        masks: bool or uint8 [N, H, W].
        inverted: whether black is removed.
    """

    def __init__(self, masks: NDArray[Any], *, inverted: bool = False) -> None:
        self._masks, self._inverted = masks, inverted
        self.count = len(masks)

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask:
        if index >= len(self._masks):
            raise _too_few("the array", len(self._masks), index)
        return as_mask(self._masks[index], self.describe(index), inverted=self._inverted)


class FolderMasks(BaseSource):
    """One image of a folder for every frame, in the natural order of their names; other files are left out.

    Raises:
        InputError: the folder holds no image, or (from ``mask``) an image cannot be read or is missing.
    """

    def __init__(self, folder: Path, *, inverted: bool = False) -> None:
        try:
            found = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
        except OSError as error:
            raise InputError(f"{folder} cannot be read: {error.strerror}") from error
        self._files = sorted(found, key=natural_order)
        self._folder, self._inverted = folder, inverted
        self.count = len(self._files)
        if not self._files:
            raise InputError(f"{folder} holds no mask; endings read: {', '.join(IMAGE_SUFFIXES)}")

    def describe(self, index: int) -> str:
        return f"the mask {self._files[index]} of frame {index}"

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask:
        if index >= len(self._files):
            raise _too_few(str(self._folder), len(self._files), index)
        return as_mask(read_mask(self._files[index]), self.describe(index), inverted=self._inverted)


class VideoMasks(BaseSource):
    """One frame of a video for every frame, white from 128 up: a video's black is seldom exactly 0.

    Raises:
        InputError: PyAV is not installed, the file is no video, or (from ``mask``) it ends early or is damaged.
    """

    def __init__(self, path: Path, *, inverted: bool = False) -> None:
        try:
            import av
        except ImportError as error:
            raise InputError(
                f"{path} is a video, and PyAV, which reads it, is not installed; run `pip install 'iic-rt[video]'`, "
                "or give a folder of images"
            ) from error
        self._path, self._inverted, self._error = path, inverted, av.FFmpegError
        try:
            self._container = av.open(str(path))
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{path} cannot be read as a video: {error}") from error
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path} holds no video, only {len(self._container.streams)} other streams")
        self._frames: Iterator[Any] = self._container.decode(video=0)
        self._next = 0  # number of the frame that is decoded next
        self._last: Mask | None = None

    def describe(self, index: int) -> str:
        return f"frame {index} of the mask video {self._path}"

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask:
        if index < self._next - 1:
            raise InputError(f"frame {index} came after frame {self._next - 1}; a video of masks is read forwards only")
        while self._next <= index:
            picture = self._decode()
            if picture is None:
                raise _too_few(str(self._path), self._next, index)
            self._next += 1
            if self._next > index:
                white = picture.to_ndarray(format="gray") > 127
                self._last = as_mask(white != self._inverted, self.describe(index))
        assert self._last is not None
        return self._last

    def finish(self, frames: int) -> None:
        while self._next < frames:  # masks of dropped frames at the end
            if self._decode() is None:
                return
            self._next += 1
        if self._decode() is not None:
            known = self._container.streams.video[0].frames  # 0 where the file does not say
            count = str(known) if known > frames else f"more than {frames}"
            raise InputError(
                f"{self._path} holds {count} masks and the stream had {frames} frames: one mask for each frame is "
                "needed. Check that both were made from the same video"
            )

    def _decode(self) -> Any:
        try:
            return next(self._frames, None)
        except self._error as error:
            raise InputError(f"{self.describe(self._next)} cannot be decoded: {error}") from error

    def close(self) -> None:
        self._container.close()


def _too_few(place: str, count: int, index: int) -> InputError:
    return InputError(
        f"{place} holds {count} masks, and frame {index} came (frames count from 0), so the stream has at least "
        f"{index + 1} frames: one mask for each frame is needed. To use one mask for all, give that mask itself"
    )
