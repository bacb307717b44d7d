"""Masks as JSON: boxes and polygons that change over time. The format is described in docs/video-masks.md."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.video.mask_source import BaseSource, Mask, frame_shape
from iic_rt.video.shapes import LARGEST_COORDINATE, check_boxes, check_points, draw_boxes, draw_polygon

__all__ = ["LARGEST_FILE", "JsonMasks"]

LARGEST_FILE = 64 * 2**20  # bytes: an hour of polygons is about as large
LATEST = 1e9  # frames or seconds
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Key:
    """What is masked from a frame number or a time on."""

    at: float
    boxes: Points  # [n, 4]
    polygons: tuple[Points, ...]  # each [k, 2]


class JsonMasks(BaseSource):
    """Masks drawn from boxes and polygons with frame numbers or times.

    Args:
        document: a parsed JSON document.
        name: what errors call it.

    Raises:
        InputError: the document has another form, with the path of the first wrong entry.
    """

    def __init__(self, document: Any, name: str = "the masks") -> None:
        self._name = name
        top = _fields(document, name, {"width", "height", "frames", "interpolate"})
        self._size = _size(top, name)
        self._interpolate = top.get("interpolate", False)
        if not isinstance(self._interpolate, bool):
            raise InputError(f"{name}: interpolate is {_short(self._interpolate)}; allowed: true or false")
        entries = top.get("frames")
        if not isinstance(entries, list):
            raise InputError(f"{name}: frames is {_short(entries)}; a list of entries is needed")
        # Each entry has one of the two; the first decides for all of them.
        self._unit = "t" if entries and isinstance(entries[0], dict) and "t" in entries[0] else "frame"
        keys = [_key(entry, f"{name}: frames[{i}]", self._unit) for i, entry in enumerate(entries)]
        self._keys = sorted(keys, key=lambda key: key.at)
        self._times = [key.at for key in self._keys]
        for before, after in zip(self._times, self._times[1:], strict=False):
            if before == after:
                raise InputError(f"{name}: two entries have {self._unit} {before:g}; put their shapes into one")

    @classmethod
    def read(cls, path: Path) -> JsonMasks:
        """Reads a file.

        Raises:
            InputError: missing, too large, not JSON, or of another form.
        """
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise InputError(f"{path} is larger than {LARGEST_FILE >> 20} MiB; give a folder or a video of masks")
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from error
        try:
            document = json.loads(text)
        except RecursionError as error:
            raise InputError(f"{path} is nested too deeply; masks need six levels") from error
        except ValueError as error:
            raise InputError(f"{path} is not JSON: {error}") from error
        return cls(document, str(path))

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask | None:
        if self._unit == "frame":
            now = float(index)
        elif pts is None:
            raise InputError(f"{self._name} gives times, and frame {index} has none; give frame numbers instead")
        else:
            now = float(pts)
        at = bisect_right(self._times, now) - 1
        if at < 0:
            return None
        key = self._keys[at]
        if self._interpolate and at + 1 < len(self._keys):
            key = _between(key, self._keys[at + 1], now)
        if not len(key.boxes) and not key.polygons:
            return None
        height, width = frame_shape(frame)
        scale = np.ones(2) if self._size is None else np.array([width, height]) / self._size
        mask = np.zeros((height, width), np.uint8)
        draw_boxes(mask, key.boxes * np.tile(scale, 2))
        for polygon in key.polygons:
            draw_polygon(mask, polygon * scale)
        return mask


def _between(key: Key, after: Key, now: float) -> Key:
    """A key moved towards the next one, as far as their shapes correspond in number."""
    share = (now - key.at) / (after.at - key.at)
    boxes, polygons = key.boxes, key.polygons
    if len(boxes) == len(after.boxes):
        boxes = boxes + share * (after.boxes - boxes)
    if [len(p) for p in polygons] == [len(p) for p in after.polygons]:
        polygons = tuple(p + share * (q - p) for p, q in zip(polygons, after.polygons, strict=True))
    return Key(now, boxes, polygons)


def _key(entry: Any, where: str, unit: str) -> Key:
    fields = _fields(entry, where, {"frame", "t", "boxes", "polygons"})
    if ("frame" in fields) == ("t" in fields):
        raise InputError(f"{where} needs one of frame (a number from 0) and t (seconds), and not both")
    if unit not in fields:
        raise InputError(f"{where} has no {unit}, and the first entry has; use the same in all entries")
    at = _number(fields[unit], f"{where}.{unit}", 0, LATEST)
    if unit == "frame" and at != int(at):
        raise InputError(f"{where}.frame is {at:g}; a whole number is needed")
    boxes = _list(fields.get("boxes", []), f"{where}.boxes")
    polygons = _list(fields.get("polygons", []), f"{where}.polygons")
    corners = [
        check_points(_list(p, f"{where}.polygons[{i}]"), f"{where}.polygons[{i}]") for i, p in enumerate(polygons)
    ]
    for i, polygon in enumerate(corners):
        if len(polygon) < 3:
            raise InputError(f"{where}.polygons[{i}] has {len(polygon)} points; a polygon has 3 or more")
    return Key(at, check_boxes(boxes, f"{where}.boxes"), tuple(corners))


def _fields(value: Any, where: str, allowed: set[str]) -> dict[str, Any]:
    """An object; a field of another name is refused, since a misspelt one would leave something unmasked."""
    if not isinstance(value, dict):
        raise InputError(f"{where} is {_short(value)}; an object with {', '.join(sorted(allowed))} is needed")
    unknown = sorted(set(map(str, value)) - allowed)
    if unknown:
        raise InputError(f"{where} has a field {_short(unknown[0])}; allowed: {', '.join(sorted(allowed))}")
    return value


def _list(value: Any, where: str) -> list[Any]:
    """A list of lists of numbers, all of one length where they are not empty, and none of them text or true/false."""
    if not isinstance(value, list):
        raise InputError(f"{where} is {_short(value)}; a list is needed")
    for i, row in enumerate(value):
        if not isinstance(row, list):
            raise InputError(f"{where}[{i}] is {_short(row)}; a list is needed")
        for j, number in enumerate(row):
            if not isinstance(number, list):
                _number(number, f"{where}[{i}][{j}]", -LARGEST_COORDINATE, LARGEST_COORDINATE)
    return value


def _number(value: Any, where: str, least: float, most: float) -> float:
    # A JSON true is an int in Python. Python compares whole numbers of any size with a float exactly.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InputError(f"{where} is {_short(value)}; allowed: a number from {least:g} to {most:g}")
    return float(value)


def _size(top: dict[str, Any], name: str) -> Points | None:
    """Width and height that the coordinates belong to; None: those of the frames."""
    if ("width" in top) != ("height" in top):
        raise InputError(f"{name}: width and height belong together; give both, or none for pixels of the frames")
    if "width" not in top:
        return None
    return np.array([_number(top[side], f"{name}: {side}", 1, LARGEST_COORDINATE) for side in ("width", "height")])


def _short(value: Any) -> str:
    """A value for an error message."""
    if isinstance(value, list | dict):
        return f"a list of {len(value)}" if isinstance(value, list) else f"an object of {len(value)} fields"
    text = "a very large number" if isinstance(value, int) and abs(value) > LATEST else json.dumps(value, default=str)
    return text if len(text) <= 40 else text[:37] + "..."
