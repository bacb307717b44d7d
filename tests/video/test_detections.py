from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.detections import Detections
from iic_rt.video.frame_masks import open_masks
from tests.video.scenes import SHAPE, Pixels, disc

FRAME = np.zeros((*SHAPE, 3), np.uint8)
NAMES = {0: "person", 1: "car", 2: "dog"}
BOXES = [[10.0, 20.0, 30.0, 40.0], [100.0, 50.0, 120.0, 90.0]]


class Tensor:
    """An array on a device: it has to be copied to the host first."""

    def __init__(self, values: Any, on_host: bool = False) -> None:
        self._values, self._on_host = np.asarray(values, np.float32), on_host

    def cpu(self) -> Tensor:
        return Tensor(self._values, on_host=True)

    def numpy(self) -> np.ndarray:
        assert self._on_host
        return self._values


@dataclass
class Boxes:
    """The documented attributes of ultralytics' Boxes."""

    xyxy: Any
    cls: Any
    conf: Any


@dataclass
class OrientedBoxes(Boxes):
    """The documented attributes of ultralytics' OBB."""

    xyxyxyxy: Any


@dataclass
class Outlines:
    """The documented attributes of ultralytics' Masks."""

    xy: list[np.ndarray]


@dataclass
class Results:
    """The documented attributes of ultralytics' Results."""

    boxes: Boxes | None = None
    masks: Outlines | None = None
    obb: OrientedBoxes | None = None
    orig_shape: tuple[int, int] = SHAPE
    names: dict[int, str] = field(default_factory=lambda: dict(NAMES))


@dataclass
class Found:
    """The documented attributes of supervision's Detections."""

    xyxy: np.ndarray
    mask: Any = None
    confidence: np.ndarray | None = None
    class_id: np.ndarray | None = None
    data: dict[str, Any] = field(default_factory=dict)


def two_boxes() -> Boxes:
    return Boxes(Tensor(BOXES), Tensor([0, 1]), Tensor([0.9, 0.4]))


def drawn(*boxes: list[float]) -> Pixels:
    mask = np.zeros(SHAPE, np.uint8)
    for left, top, right, bottom in np.array(boxes, int).reshape(-1, 4):
        mask[top:bottom, left:right] = 255
    return mask


def read(found: Any, **options: Any) -> Pixels | None:
    return Detections(**options).mask(found, SHAPE, "the mask of frame 0")


def test_boxes_of_ultralytics() -> None:
    assert (read(Results(two_boxes())) == drawn(*BOXES)).all()
    assert (read([Results(two_boxes())]) == drawn(*BOXES)).all()
    on_host = Boxes(np.array(BOXES), np.array([0.0, 1.0]), np.array([0.9, 0.4]))
    assert (read(Results(on_host)) == drawn(*BOXES)).all()
    nothing = Boxes(Tensor(np.zeros((0, 4))), Tensor([]), Tensor([]))
    assert read(Results(nothing)) is None
    assert read(Results(nothing), classes=["dog"]) is None


def test_outlines_of_ultralytics() -> None:
    triangle = np.array([[10, 20], [30, 20], [10, 40]], np.float32)
    mask = read(Results(two_boxes(), Outlines([triangle, np.zeros((0, 2), np.float32)])))
    assert mask is not None
    assert mask[25, 12]
    assert not mask[38, 28]
    assert mask[50:90, 100:120].all()  # found, without an outline: its box


def test_oriented_boxes_of_ultralytics() -> None:
    corners = [[[60, 20], [80, 40], [60, 60], [40, 40]]]
    obb = OrientedBoxes(Tensor([[40, 20, 80, 60]]), Tensor([2]), Tensor([0.7]), Tensor(corners))
    mask = read(Results(obb=obb), classes=["dog"])
    assert mask is not None
    assert mask[40, 60]
    assert not mask[22, 42]


def test_classes_and_confidence_choose() -> None:
    results = Results(two_boxes())
    for classes in (["car"], [1], [np.int64(1)], ("car", "dog")):
        assert (read(results, classes=classes) == drawn(BOXES[1])).all()
    assert (read(results, min_confidence=0.5) == drawn(BOXES[0])).all()
    assert read(results, classes=["car"], min_confidence=0.5) is None
    with pytest.raises(InputError, match="no class 'cat'; its classes: car, dog, person"):
        read(results, classes=["cat"])


def test_results_without_objects_are_refused() -> None:
    with pytest.raises(InputError, match="neither boxes nor oriented boxes"):
        read(Results())


def test_results_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match="frame 0 is 640x480 and the frame 160x120"):
        read(Results(two_boxes(), orig_shape=(480, 640)))


def test_supervision() -> None:
    boxes = np.array(BOXES)
    assert (read(Found(boxes)) == drawn(*BOXES)).all()
    assert read(Found(np.zeros((0, 4)))) is None
    full = Found(
        boxes,
        np.stack([disc(20, 30, 5) > 0, disc(110, 70, 5) > 0]),
        np.array([0.9, 0.4]),
        np.array([0, 1]),
        {"class_name": np.array(["person", "car"])},
    )
    assert (read(full) == (disc(20, 30, 5) | disc(110, 70, 5))).all()
    assert (read(full, classes=["car"]) == disc(110, 70, 5)).all()
    assert (read(full, classes=[0]) == disc(20, 30, 5)).all()
    assert (read(full, min_confidence=0.5) == disc(20, 30, 5)).all()
    assert read(full, classes=["bus"]) is None  # only the classes of this frame are known
    assert (read(Found(boxes), min_confidence=0.5) == drawn(*BOXES)).all()


def test_supervision_without_names_or_classes() -> None:
    boxes = np.array(BOXES)
    with pytest.raises(InputError, match="give numbers"):
        read(Found(boxes, class_id=np.array([0, 1])), classes=["car"])
    with pytest.raises(InputError, match="has no classes"):
        read(Found(boxes), classes=[1])


def test_masks_of_supervision_that_are_no_array() -> None:
    class Packed:
        def __getitem__(self, number: int) -> np.ndarray:
            return disc(20 + 40 * number, 30, 5) > 0

    assert (read(Found(np.array(BOXES), Packed())) == (disc(20, 30, 5) | disc(60, 30, 5))).all()
    with pytest.raises(InputError, match="is 3x2 and the frame"):
        read(Found(np.array(BOXES), np.zeros((2, 2, 3), bool)))


def test_plain_boxes_and_nothing() -> None:
    for boxes in (BOXES, np.array(BOXES), np.array(BOXES, np.int64), tuple(map(tuple, BOXES))):
        assert (read(boxes) == drawn(*BOXES)).all()
    for nothing in (None, [], np.zeros((0, 4)), np.zeros(SHAPE, bool)):
        assert read(nothing) is None


@pytest.mark.parametrize(
    "found", [3, "x", object(), [[1, 2, 3]], np.array([[1, 2, np.nan, 4]]), [Results(), Results()]]
)
def test_other_things_are_refused(found: Any) -> None:
    with pytest.raises(InputError, match="the mask of frame 0"):
        read(found)


@pytest.mark.parametrize("options", [{"classes": "car"}, {"classes": 1}, {"classes": [1.5]}, {"min_confidence": 2}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"classes|min_confidence"):
        Detections(**options)


def test_a_function_may_give_results() -> None:
    with open_masks(lambda frame, index: Results(two_boxes()) if index else None, classes=["person"]) as masks:
        assert masks.mask(FRAME, 0) is None
        assert (masks.mask(FRAME, 1) == drawn(BOXES[0])).all()
