"""Arguments of another type are named with what is allowed; numpy's numbers count as Python's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import IICError, InputError
from iic_rt.video import VideoInpainter
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.motion import MotionMasks

IMAGE, MASK = np.zeros((60, 70, 3), np.uint8), np.zeros((60, 70), np.uint8)


def test_numbers_of_numpy_are_numbers() -> None:
    options = InpaintOptions(
        iterations=np.int64(3),  # type: ignore[arg-type]
        budget_ms=np.float32(2.5),  # type: ignore[arg-type]
        grow=np.uint8(7),  # type: ignore[arg-type]
        context=np.int16(3),  # type: ignore[arg-type]
        upsample=np.bool_(False),  # type: ignore[arg-type]
        outputs=["confidence"],  # type: ignore[arg-type]
    )
    plain = InpaintOptions(iterations=3, budget_ms=2.5, grow=7, context=3.0, upsample=False, outputs=("confidence",))
    assert options == plain
    assert repr(options) == repr(plain)
    assert type(options.iterations) is int


WRONG: dict[str, list[Any]] = {
    "iterations": [0, -1, 1.0, "4", True, None, np.float64(3), [3]],
    "budget_ms": [0, -1, "10", True, float("nan"), [5]],
    "mask_hole": ["grey", 1, None, ["white"], np.array(["white", "black"])],
    "grow": [-1, 65, 2.0, True, "some", None, np.array([1, 2])],
    "channel_order": ["rgba", None, ["rgb"]],
    "context": [1.2, 16.1, "2", True, None, float("nan")],
    "upsample": ["no", 0, 1, None, "False"],
    "outputs": ["confidence", None, ("everything",), ("confidence", 5), {"confidence"}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_options_of_another_type_or_range(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name} is .*(give|allowed)"):
        InpaintOptions(**{name: value})


@pytest.mark.parametrize("options", [{"iterations": 2}, {}, 4, "fast", InpaintOptions])
def test_options_that_are_none(inpainter: Inpainter, options: Any) -> None:
    told = r"options is a \w+; give an InpaintOptions, e\.g\. InpaintOptions\("
    with pytest.raises(TypeError, match=told):
        Inpainter(backend="onnxruntime", options=options)
    with pytest.raises(TypeError, match=told):
        inpainter.inpaint(IMAGE, MASK, options=options)
    with pytest.raises(TypeError, match=told):
        VideoInpainter(inpainter, options=options)


@pytest.mark.parametrize("threads", [0, "2", 1.0, True])
def test_threads(threads: Any) -> None:
    with pytest.raises(InputError, match=r"threads is .*; give a whole number from 1 up"):
        Inpainter(threads=threads)


def test_images_masks_and_tickets(inpainter: Inpainter) -> None:
    for image, mask, message in (
        ([[1]], MASK, "the image is a list"),
        (IMAGE, "mask.png", "the mask is a str"),
        (IMAGE, Path("mask.png"), "the mask is a "),
        (IMAGE, None, "the mask is a NoneType"),
    ):
        with pytest.raises(InputError, match=message):
            inpainter.inpaint(image, mask)
    with pytest.raises(InputError, match="out is for images on the device"):
        inpainter.inpaint(IMAGE, MASK, out=IMAGE)
    with pytest.raises(InputError, match="this ticket was collected before, or is another"):
        inpainter.collect("ticket")  # type: ignore[arg-type]


@pytest.mark.parametrize(("sides", "channels"), [(512, 3), ("512", 3), ([0], 3), ([1.5], 3), ([64], 2), ([64], "3")])
def test_warmup(inpainter: Inpainter, sides: Any, channels: Any) -> None:
    with pytest.raises(InputError, match="give a list of sides from 1 pixel up, and 1, 3 or 4"):
        inpainter.warmup(sides, channels=channels)


@pytest.mark.parametrize(
    "setting",
    [
        {"slots": 2.0},
        {"slots": "4"},
        {"policy": None},
        {"deadline_ms": "40"},
        {"deadline_ms": float("nan")},
        {"late_as": ["last"]},
        {"blank": (1, 2)},
        {"blank": "black"},
        {"memory": "no"},
        {"lookahead": 1.0},
    ],
)
def test_streams(inpainter: Inpainter, setting: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(setting))} is .*(give|allowed)"):
        VideoInpainter(inpainter, **setting)


def test_streams_take_numbers_of_numpy(inpainter: Inpainter) -> None:
    video = VideoInpainter(
        inpainter,
        slots=np.int64(3),  # type: ignore[arg-type]
        deadline_ms=np.float32(40),  # type: ignore[arg-type]
        blank=(np.uint8(9), 9, 9),  # type: ignore[arg-type]
        lookahead=np.int32(2),  # type: ignore[arg-type]
    )
    video.close()


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"grow": 1.5}, "grow"),
        ({"grow": True}, "grow"),
        ({"hold_frames": "3"}, "hold_frames"),
        ({"hold_frames": 2.0}, "hold_frames"),
        ({"jitter": None}, "jitter"),
        ({"mask_hole": 1}, "mask_hole"),
    ],
)
def test_masks_of_streams(setting: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is"):
        open_masks(MASK, **setting)


def test_masks_by_motion() -> None:
    for setting in ({"warmup": 0}, {"absorb": 1.5}, {"smallest": "0.1"}):
        with pytest.raises(InputError, match=next(iter(setting))):
            MotionMasks(**setting)  # type: ignore[arg-type]


def test_public_names_come_when_they_are_asked_for() -> None:
    import iic_rt

    assert iic_rt.errors.IICError is IICError
    assert set(iic_rt.__all__) <= set(dir(iic_rt))
    for name in iic_rt.__all__:
        assert getattr(iic_rt, name)
    with pytest.raises(AttributeError, match="no attribute 'Outpainter'"):
        iic_rt.Outpainter  # noqa: B018
