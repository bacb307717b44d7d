"""Masks for the frames of a stream, from whatever the caller has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import numpy as np

from iic_rt.checks import check_choice
from iic_rt.errors import InpaintWarning, InputError
from iic_rt.image_io import IMAGE_SUFFIXES, read_mask
from iic_rt.masks import Grow, MaskHole, check_grow, grow_hole
from iic_rt.video.detections import Detections
from iic_rt.video.json_masks import JsonMasks
from iic_rt.video.mask_files import VIDEO_SUFFIXES, FolderMasks, OneMask, StackMasks, VideoMasks
from iic_rt.video.mask_source import BaseSource, Mask, MaskSource, frame_shape
from iic_rt.video.mask_writer import MaskWriter
from iic_rt.video.motion import MotionMasks
from iic_rt.video.steady import Hold, Still

__all__ = ["CallableMasks", "FrameMasks", "open_masks"]


class CallableMasks(BaseSource):
    """Masks from a function.

    Args:
        function: gets a frame and its number, and gives a mask, detections, or None (:class:`Detections`).
    """

    def __init__(self, function: Callable[[Any, int], Any]) -> None:
        self._function = function

    def mask(self, frame: Any, index: int, pts: float | None) -> Any:
        return self._function(frame, index)


class FrameMasks:
    """The masks of a stream: read from a source, checked, grown, held, kept still, and written if asked for.

    :func:`open_masks` makes it. Use it as a context manager or call :meth:`close`. Not thread-safe, and for one stream
    only: frames come in order. It is a source itself.
    """

    def __init__(
        self,
        source: MaskSource,
        detections: Detections,
        *,
        grow: Grow,
        hold: Hold,
        still: Still,
        writer: MaskWriter | None,
    ) -> None:
        self._source, self._detections = source, detections
        self._grow, self._hold, self._still, self._writer = grow, hold, still, writer

    @property
    def count(self) -> int | None:
        """Number of masks, None where it is not known or any frame has one."""
        return getattr(self._source, "count", None)

    @property
    def trust(self) -> float | None:
        """How far the last mask can be trusted, 0 to 1; None from sources without a measure."""
        return getattr(self._source, "trust", None)

    @property
    def warnings(self) -> tuple[InpaintWarning, ...]:
        """What is odd about the last mask."""
        return getattr(self._source, "warnings", ())

    def mask(self, frame: Any, index: int, pts: float | None = None) -> Mask | None:
        """The mask of a frame.

        Args:
            frame: the frame, [H, W] or [H, W, C]; only sources that look at pixels need it on the host, as uint8.
            index: its number from 0.
            pts: its time in seconds from the start of the stream, None where it is not known.

        Returns:
            uint8 [H, W] in {0, 255}, 255 = remove; None where nothing is to be removed. All of it 255 where the source
            cannot say what to remove and nothing may be shown: such a frame cannot be filled.

        Raises:
            InputError: the mask has another size than the frame, there is none for this frame, or it cannot be read.
            TrackLost: a carried mask is lost.
            OutputError: the mask cannot be written.
        """
        shape = frame_shape(frame)
        found = self._source.mask(frame, index, pts)
        describe = getattr(self._source, "describe", None)
        name = describe(index) if describe is not None else f"the mask of frame {index}"
        mask = self._detections.mask(found, shape, name)
        if mask is None or not mask.all():  # a mask of everything is no object to grow or to hold
            if mask is not None and self._grow != 0:
                mask = grow_hole(mask // np.uint8(255), self._grow) * np.uint8(255)
            mask = self._still(self._hold(mask, shape), shape)
        if self._writer is not None:
            self._writer.write(mask, shape, index)
        return mask

    def finish(self, frames: int) -> None:
        """To be called after the last frame of a stream: checks that no mask is left over.

        Args:
            frames: how many frames the stream had.

        Raises:
            InputError: there are more masks than frames.
        """
        finish = getattr(self._source, "finish", None)
        if finish is not None:
            finish(frames)

    def describe(self, index: int) -> str:
        """Names a mask in errors."""
        return f"the mask of frame {index}"

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> FrameMasks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_masks(
    source: Any,
    *,
    grow: Grow = 0,
    hold_frames: int = 0,
    jitter: int = 0,
    classes: Sequence[str | int] | None = None,
    min_confidence: float = 0.0,
    mask_hole: MaskHole = "white",
    frames: int | None = None,
    save: str | Path | None = None,
) -> FrameMasks:
    """Makes masks for frames.

    Args:
        source: one of

            - an array: bool or uint8 [H, W] for all frames, or [N, H, W];
            - a path: an image for all frames; a folder with an image for each; a video (extra ``video``); ``.json``;
            - a dict, as a parsed JSON file;
            - a function of a frame and its number that gives a mask, boxes [n, 4], results of ultralytics or
              supervision, or None;
            - ``"motion"``, for a camera that stands still; a folder of that name is ``Path("motion")``;
            - an object with ``mask(frame, index, pts)`` and ``close()``, such as :class:`TrackMasks`.

        grow: pixels by which masks are grown, 0 to 64, or ``"auto"`` by each object's size. ``InpaintOptions.grow``
            does the same after this, to the steady mask: set one of the two.
        hold_frames: for how many frames a thing stays masked that is not found any more, 0 to 250.
        jitter: by how many pixels edges tremble, 0 to 32; the mask stays as it is where they do no more than that.
        classes: of detections: names or numbers to remove; None for all.
        min_confidence: of detections: less certain ones are left out.
        mask_hole: which end of masks in arrays, images and videos is removed, ``"white"`` or ``"black"``.
        frames: number of frames of the stream, where it is known: a wrong count of masks is found before the start.
        save: a folder to write every mask in use to (:class:`MaskWriter`).

    Raises:
        InputError: the source or an option cannot be used.
        OutputError: ``save`` cannot be used.
    """
    check_choice(mask_hole, "mask_hole", get_args(MaskHole))
    grow = check_grow(grow)
    hold, still = Hold(hold_frames), Still(jitter)
    opened = _open_source(source, inverted=mask_hole == "black")
    try:
        count = getattr(opened, "count", None)
        if frames is not None and count is not None and frames != count:
            raise InputError(
                f"there are {count} masks and the stream has {frames} frames: one mask for each frame is needed. "
                "Check that both were made from the same video"
            )
        # Sources that read files turn black into white themselves; what a function gives is turned here.
        inverted = mask_hole == "black" and isinstance(opened, CallableMasks)
        detections = Detections(classes=classes, min_confidence=min_confidence, inverted=inverted)
        writer = None if save is None else MaskWriter(Path(save))
    except Exception:
        opened.close()
        raise
    return FrameMasks(opened, detections, grow=grow, hold=hold, still=still, writer=writer)


def _open_source(source: Any, *, inverted: bool) -> MaskSource:
    if isinstance(source, str) and source == "motion":
        return MotionMasks()
    if isinstance(source, str | Path):
        return _open_path(Path(source), inverted=inverted)
    if isinstance(source, np.ndarray):
        if source.ndim == 3 and source.shape[2] != 1:
            return StackMasks(source, inverted=inverted)
        return OneMask(source, inverted=inverted)
    if isinstance(source, dict):
        return JsonMasks(source)
    if callable(getattr(source, "mask", None)) and callable(getattr(source, "close", None)):
        return source  # type: ignore[no-any-return]
    if callable(source):
        return CallableMasks(source)
    raise InputError(
        f"masks cannot come from a {type(source).__name__}; allowed: an array, a path, a dict, a function, 'motion', "
        "or an object with mask(frame, index, pts) and close()"
    )


def _open_path(path: Path, *, inverted: bool) -> MaskSource:
    suffix = path.suffix.lower()
    if path.is_dir():
        return FolderMasks(path, inverted=inverted)
    if suffix == ".json":
        return JsonMasks.read(path)
    if suffix in IMAGE_SUFFIXES:
        return OneMask(read_mask(path), f"the mask {path}", inverted=inverted)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name")
    if suffix in VIDEO_SUFFIXES:
        return VideoMasks(path, inverted=inverted)
    allowed = ", ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, ".json"))
    raise InputError(f"{path} is no mask: its ending is {suffix!r}; allowed: a folder, {allowed}")
