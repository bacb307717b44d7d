"""Engines are built for exactly the shapes that filling a region binds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.manifest import load_bundle
from iic_rt.bundle.shapes import Limits, RegionShapes
from iic_rt.engines.shapes import graph_shapes


class RecordingBackend(OnnxRuntimeBackend):
    """Writes down what is bound, and runs it."""

    bound: ClassVar[list[Any]] = []

    def bind(self, graph, inputs, outputs):
        self.bound.append((graph, {name: buffer.shape for name, buffer in inputs.items()}))
        return super().bind(graph, inputs, outputs)


def bound_by_filling(side: int, working_size: int, *, upsample: bool = True) -> list[Any]:
    """What is bound for a picture of one region of ``side`` pixels, made by the whole runtime."""
    image, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    image[: side // 2] = 200
    mask[side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = 1
    RecordingBackend.bound.clear()
    with Inpainter(backend="recording", working_size=working_size) as inpainter:
        inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, iterations=2, upsample=upsample))
    return list(RecordingBackend.bound)


def unique(pairs: list[Any]) -> list[Any]:
    return sorted({(graph, tuple(sorted(shapes.items()))) for graph, shapes in pairs})


@pytest.mark.parametrize(
    ("side", "working_size", "limits"),
    [
        (64, 64, Limits()),  # the loop alone
        (96, 64, Limits()),
        (128, 64, Limits()),
        (512, 256, Limits()),
        (384, 96, Limits()),
        (256, 64, Limits(whole_pixels=1, tile_pixels=128 * 128)),
        (320, 64, Limits(whole_pixels=1, tile_pixels=1 << 20)),  # one tile
    ],
)
def test_shapes_are_those_that_filling_binds(
    side: int, working_size: int, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "recording", RecordingBackend)
    monkeypatch.setattr(RecordingBackend, "limits", limits)
    real = bound_by_filling(side, working_size)
    assert ("image", (side, side, 3)) in next(shapes for graph, shapes in real if graph == "prepare").items()
    found = graph_shapes(load_bundle("edge"), side, working_size, limits, (3,))
    # Bound when there is nothing to copy.
    assert unique([pair for pair in found if pair[0] != "composite"]) == unique(real)
    assert len(unique(found)) == len(found)  # nothing is built twice


def test_without_upsampling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "recording", RecordingBackend)
    real = bound_by_filling(128, 64, upsample=False)
    own = [pair for pair in unique(real) if dict(pair[1]).get("low") == (1, 3, 140, 140) or pair[0] == "composite"]
    inputs = RegionShapes(128, 128).inputs(upsample=False)
    assert own == unique([("composite", inputs["composite"])])


def test_the_usual_case_by_hand() -> None:
    """A wrong formula in the runtime itself would be in both halves of the test above."""
    found = graph_shapes(load_bundle("edge"), 512, 256, Limits(), (3,))
    loop = {"y": (1, 3, 256, 256), "m": (1, 1, 256, 256)}
    base = {"low": (1, 3, 268, 268), "weights": (8, 16), "image": (512, 512, 3)}
    back = {"hole": (512, 512), "order": (3, 3), "keep": (3, 1, 1)}
    sources = {"offset": (1, 1, 2, 64, 64), "share": (1, 1, 64, 64)}
    prepare = {"image": (512, 512, 3), "visible": (512, 512), "weights": (4, 8), "order": (3, 3)}
    expected = [
        ("prepare", prepare),
        ("step", loop | {"c": (1, 1, 256, 256), "first": (1,)}),
        ("seam", loop),
        ("composite", base | back),
        ("similarity", {"low": (1, 3, 268, 268), "m": (1, 1, 256, 256)}),
        ("detail", base | {"visible": (512, 512), "order": (3, 3)}),
        ("search", {"q": (1, 4096, 76), "hole": (1, 64, 64), "weight": (1, 64, 64)}),
        ("refine", {"low": (1, 3, 268, 268), "m": (1, 1, 256, 256), "valid": (1, 256, 256)} | sources),
        ("replace", sources | {"detail": (1, 3, 512, 512), "inside": (1, 1, 512, 512)}),
        ("add_detail", base | back | {"mixed": (1, 3, 512, 512)}),
    ]
    assert unique(found) == unique(expected)
