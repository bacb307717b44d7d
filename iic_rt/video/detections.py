"""Masks from what a detector found: results of ultralytics and supervision, boxes, masks. Neither is imported."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.video.mask_source import Mask, as_mask
from iic_rt.video.shapes import check_boxes, check_points, draw_boxes, draw_polygon

__all__ = ["Detections"]


class Detections:
    """Reads whatever a source or a callable gave for a frame.

    Args:
        classes: names or numbers of the classes to remove; None for all.
        min_confidence: detections below it are left out; those without a confidence are kept.
        inverted: whether black is removed in masks that come as arrays.

    Raises:
        InputError: an option is out of range.
    """

    def __init__(
        self, *, classes: Sequence[str | int] | None = None, min_confidence: float = 0.0, inverted: bool = False
    ) -> None:
        if isinstance(classes, str | int):
            raise InputError(f"classes is {classes!r}; give a list, e.g. [{classes!r}]")
        if not 0 <= min_confidence <= 1:
            raise InputError(f"min_confidence is {min_confidence}; allowed: 0 to 1")
        self._classes = None if classes is None else [c if isinstance(c, str) else _number(c) for c in classes]
        self._min_confidence = min_confidence
        self._inverted = inverted

    def mask(self, found: Any, shape: tuple[int, int], name: str) -> Mask | None:
        """The mask of one frame.

        Args:
            found: None; a mask, bool or uint8 [H, W]; boxes [n, 4] as an array of another type or as a list; a
                ``Results`` of ultralytics, also alone in a list as its models return it; a ``Detections`` of
                supervision.
            shape: height and width of the frame.
            name: what errors call it.

        Returns:
            uint8 [H, W] in {0, 255}; None where nothing is marked.

        Raises:
            InputError: another type, another size than the frame's, or a class that the detector does not know.
        """
        if isinstance(found, list | tuple) and len(found) == 1 and hasattr(found[0], "orig_shape"):
            found = found[0]
        if found is None:
            return None
        if isinstance(found, np.ndarray) and found.dtype in (np.uint8, np.bool_):
            mask = as_mask(found, name, inverted=self._inverted)
            _check_size(mask.shape, shape, name)
        elif hasattr(found, "orig_shape"):
            mask = self._ultralytics(found, shape, name)
        elif hasattr(found, "xyxy"):
            mask = self._supervision(found, shape, name)
        elif isinstance(found, np.ndarray | list | tuple) or hasattr(found, "__array__"):
            mask = np.zeros(shape, np.uint8)
            draw_boxes(mask, check_boxes(_host(found), name))
        else:
            raise InputError(
                f"{name} is a {type(found).__name__}; allowed: None, a mask (bool or uint8 [H, W]), boxes [n, 4], "
                "or results of ultralytics or supervision"
            )
        return mask if mask.any() else None

    def _ultralytics(self, found: Any, shape: tuple[int, int], name: str) -> Mask:
        _check_size(tuple(found.orig_shape), shape, name)
        boxes, masks, turned = (getattr(found, kind, None) for kind in ("boxes", "masks", "obb"))
        boxes = turned if boxes is None else boxes
        if boxes is None:
            raise InputError(
                f"{name} has neither boxes nor oriented boxes; use a model that detects or segments objects"
            )
        corners = check_boxes(_host(boxes.xyxy), f"{name}: boxes.xyxy")
        names = dict(getattr(found, "names", None) or {})
        kept = self._kept(len(corners), _host(boxes.cls), _host(boxes.conf), names, name)
        mask = np.zeros(shape, np.uint8)
        if masks is not None:
            outlines = list(masks.xy)
        elif turned is not None:
            outlines = list(_host(turned.xyxyxyxy))
        else:
            outlines = [()] * len(corners)
        for i in np.flatnonzero(kept):
            outline = check_points(outlines[i], f"{name}: outline {i}")
            if len(outline) >= 3:
                draw_polygon(mask, outline)
            else:  # found, and its mask is too small for an outline
                draw_boxes(mask, corners[i : i + 1])
        return mask

    def _supervision(self, found: Any, shape: tuple[int, int], name: str) -> Mask:
        corners = check_boxes(_host(found.xyxy), f"{name}: xyxy")
        data = getattr(found, "data", None) or {}
        ids = _host(getattr(found, "class_id", None))
        labels = data.get("class_name")
        names = {} if ids is None or labels is None else dict(zip(ids.tolist(), map(str, labels), strict=True))
        confidence = _host(getattr(found, "confidence", None))
        kept = self._kept(len(corners), ids, confidence, names, name, complete=False)
        mask = np.zeros(shape, np.uint8)
        masks = getattr(found, "mask", None)
        if masks is None:
            draw_boxes(mask, corners[kept])
            return mask
        for i in np.flatnonzero(kept):
            # One at a time: a stack of full masks takes a lot of memory.
            one = np.asarray(masks[int(i)], np.bool_)
            _check_size(one.shape, shape, name)
            mask[one] = 255
        return mask

    def _kept(
        self,
        count: int,
        ids: NDArray[Any] | None,
        confidence: NDArray[Any] | None,
        names: dict[int, str],
        name: str,
        *,
        complete: bool = True,
    ) -> NDArray[np.bool_]:
        """bool [n]; ``complete``: whether ``names`` holds every class that the detector knows."""
        kept = np.ones(count, np.bool_)
        if confidence is not None:
            kept &= ~(confidence.reshape(-1) < self._min_confidence)
        if self._classes is None or count == 0:
            return kept
        if ids is None:
            raise InputError(f"{name} has no classes, and classes={self._classes} was asked for; leave classes out")
        wanted = {c for c in self._classes if isinstance(c, int)}
        for label in (c for c in self._classes if isinstance(c, str)):
            same = {number for number, known in names.items() if known == label}
            if not same and (complete or not names):
                known = ", ".join(sorted(set(names.values()))) or "none, so give numbers"
                raise InputError(f"{name} has no class {label!r}; its classes: {known}")
            wanted |= same
        return kept & np.isin(ids.reshape(-1).astype(np.int64), sorted(wanted))


def _number(value: Any) -> int:
    try:
        return index(value)
    except TypeError as error:
        raise InputError(f"classes holds {value!r}; allowed: names and whole numbers") from error


def _host(value: Any) -> Any:
    """An array or tensor on the host; None stays None, a list stays a list."""
    if hasattr(value, "cpu"):
        value = value.cpu()
    if hasattr(value, "numpy"):
        value = value.numpy()
    return value


def _check_size(given: tuple[int, ...], shape: tuple[int, int], name: str) -> None:
    if len(given) < 2 or tuple(given[:2]) != shape:
        size = "x".join(str(side) for side in reversed(given[:2]))
        raise InputError(
            f"{name} is {size} and the frame {shape[1]}x{shape[0]} pixels (width x height); they must be equal. "
            "Resize it with nearest-neighbour interpolation, or make it from the same video"
        )
