"""Bundles whose hashes are right and whose weights are not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from iic_rt.bundle.manifest import DEFAULT_BUNDLE, MANIFEST, SHIPPED, file_sha256

__all__ = ["damaged_bundle"]

FEWEST = 64  # values of a tensor of weights; smaller ones are shapes and constants


def damaged_bundle(folder: Path, graph: str, factor: float) -> Path:
    """The shipped bundle with the weights of one FP32 graph multiplied."""
    shutil.copytree(SHIPPED / DEFAULT_BUNDLE, folder)
    path = folder / f"{graph}.onnx"
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype in (np.float16, np.float32) and values.size >= FEWEST:
            with np.errstate(all="ignore"):
                changed = (values.astype(np.float64) * factor).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    onnx.save(model, path)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["precisions"]["fp32"][graph]["sha256"] = file_sha256(path)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder
