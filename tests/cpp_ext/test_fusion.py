"""TensorRT-RTX fuses the mask update itself, which is why there is no kernel for it."""

from __future__ import annotations

import pytest

from cpp_ext.fusion import STEP_SHAPES, engine_layers
from iic_rt.bundle.manifest import load_bundle

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_one_kernel_writes_all_of_the_mask_update(precision: str) -> None:
    layers = engine_layers(load_bundle("edge").at(precision).graphs["step"].path, STEP_SHAPES)
    (last,) = [layer for layer in layers if {"y_out", "m_out", "c_out"} & set(layer.outputs)]
    assert set(last.outputs) == {"y_out", "m_out", "c_out"}
    assert last.kind == "kgen"
    assert last is layers[-1]
    update = [
        (i, node)
        for i, layer in enumerate(layers)
        for node in layer.nodes
        if node.startswith(("node_gt", "node_where"))
    ]
    # m > 0, first > 0, c_now > c_before; c_before, c_now, y. What hangs on the inputs alone may be in the first kernel.
    assert len({node for _, node in update}) == 6
    assert {i for i, _ in update} <= {0, len(layers) - 1}
