"""The whole inpainter on a fake device gives what it gives on ONNX Runtime, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from tests.cuda.fake_driver import FakeApi
from tests.runtime.test_filler import scene

Open = Callable[..., Inpainter]


def assert_equal(first: object, second: object) -> None:
    for name in ("image", "confidence", "hole_left"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("side", [48, 64, 128, 192, 320])
@pytest.mark.parametrize("upsample", [True, False])
def test_captured(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator, side: int, upsample: bool
) -> None:
    ours, options = open_inpainter(api), InpaintOptions(upsample=upsample)
    for _ in range(3):  # the first call captures, later ones give the same graph other pictures
        image, mask = scene(side, rng)
        assert_equal(ours.inpaint(image, mask, options=options), inpainter.inpaint(image, mask, options=options))
    assert api.counts()["cuStreamEndCapture"] == 1
    assert api.counts()["cuGraphLaunch"] == 3
