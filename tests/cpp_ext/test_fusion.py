"""TensorRT-RTX fuses the mask update itself, which is why there is no kernel for it."""

from __future__ import annotations

import pytest

from cpp_ext.fusion import STEP_SHAPES, engine_layers
from iic_rt.bundle import load_bundle

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX")


def test_one_kernel_writes_all_of_the_mask_update() -> None:
    layers = engine_layers(load_bundle("edge").folder / "step.onnx", STEP_SHAPES)
    (last,) = [layer for layer in layers if {"y_out", "m_out", "c_out"} & set(layer.outputs)]
    assert set(last.outputs) == {"y_out", "m_out", "c_out"}
    assert last.kind == "kgen"
    assert last is layers[-1]
    comparisons = [node for node in last.nodes if node.startswith("node_gt")]
    choices = [node for node in last.nodes if node.startswith("node_where")]
    assert len(comparisons) == 3  # m > 0, first > 0, c_now > c_before
    assert len(choices) == 3  # c_before, c_now, y
