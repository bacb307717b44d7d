"""What holds for every image, every mask and every option: drawn at random by hypothesis."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iic_rt import Inpainter, InpaintOptions, InpaintResult
from iic_rt.errors import InputError

EXAMPLES = int(os.environ.get("IIC_RT_EXAMPLES", "150"))  # more by hand: the suite has to be quick
sides = st.integers(1, 90)
kinds = st.sampled_from(["blob", "specks", "frame", "everything", "nothing", "noise"])


@st.composite
def scenes(draw: Any) -> dict[str, Any]:
    """The arguments of a call."""
    height, width, channels = draw(sides), draw(sides), draw(st.sampled_from([None, 1, 3, 4]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (height, width) if channels is None else (height, width, channels)
    image = rng.integers(0, 256, shape, np.uint8)
    if draw(st.booleans()):
        image[...] = image.flat[0]
    masks = [_mask(draw(kinds), rng, height, width) for _ in range(3)]
    options = InpaintOptions(
        iterations=draw(st.integers(1, 3)),
        grow=draw(st.sampled_from(["auto", 0, 1, 5])),
        mask_hole=draw(st.sampled_from(["white", "black"])),
        channel_order=draw(st.sampled_from(["rgb", "bgr"])),
        context=draw(st.sampled_from([1.25, 2.0, 16.0])),
        upsample=draw(st.booleans()),
        outputs=("confidence", "hole_left", "history"),
    )
    found = {"image": image, "mask": masks[0], "options": options}
    for name, mask in zip(("avoid", "prefer"), masks[1:], strict=True):
        if draw(st.booleans()) and draw(st.booleans()):
            found[name] = mask
    if draw(st.booleans()):
        found["image"] = np.ascontiguousarray(image[::-1])[::-1]  # strides of another kind
    return found


def _mask(kind: str, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    if kind == "blob":
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask[top : top + rng.integers(1, 30), left : left + rng.integers(1, 30)] = 255
    elif kind == "specks":
        mask[rng.integers(0, height, 5), rng.integers(0, width, 5)] = 255
    elif kind == "frame":
        mask[[0, -1]] = 255
        mask[:, [0, -1]] = 255
    elif kind == "everything":
        mask[...] = 255
    elif kind == "noise":
        mask = rng.integers(0, 256, (height, width), np.uint8)
    return mask


def check(scene: dict[str, Any], result: InpaintResult) -> None:
    image, hole = scene["image"], result.hole > 0
    white = scene["mask"] > 127
    wanted = white if scene["options"].mask_hole == "white" else ~white
    assert hole[wanted].all()
    assert result.image.shape == image.shape
    np.testing.assert_array_equal(result.image[~hole], image[~hole])
    if image.ndim == 3 and image.shape[2] == 4:
        np.testing.assert_array_equal(result.image[..., 3], image[..., 3])
    assert np.isfinite(result.confidence).all()
    assert (result.confidence[~hole] == 1).all()
    before = hole
    for snapshot in result.history:  # the hole only shrinks, and every snapshot is a whole image
        left = snapshot.hole > 0
        assert not (left & ~before).any()
        before = left
        np.testing.assert_array_equal(snapshot.image[~hole], image[~hole])
    assert not (result.hole_left.astype(bool) & ~hole).any()


@given(scene=scenes())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_what_holds_for_every_call(inpainter: Inpainter, scene: dict[str, Any]) -> None:
    kept = {name: value.copy() for name, value in scene.items() if isinstance(value, np.ndarray)}
    try:
        result = inpainter.inpaint(**scene)
    except InputError:
        # Nothing is left to look at or to copy from: the only reason that arguments of these kinds have.
        assert {"avoid", "prefer"} & scene.keys() or (scene["mask"] > 127).mean() in (0, 1)
        return
    for name, value in kept.items():
        np.testing.assert_array_equal(scene[name], value)
    check(scene, result)
    np.testing.assert_array_equal(inpainter.inpaint(**scene).image, result.image)


WRONG = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)


@given(name=st.sampled_from(list(InpaintOptions.__dataclass_fields__)), value=WRONG)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_options_take_what_they_may_and_name_what_they_may_not(name: str, value: Any) -> None:
    try:
        InpaintOptions(**{name: value})
        message = name + " "
    except InputError as error:
        message = str(error)
    assert message.startswith(f"{name} ")
