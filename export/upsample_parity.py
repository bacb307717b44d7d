"""Do the graphs of guided upsampling compute what torch computes, in FP32 and in FP16?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from export.patch_replace import build_patch_replace
from export.rounding import rounded
from iic_rt.pipeline.patches import blend, patch_weights, windows
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.resampling import BASE_REACH, base_weights
from training.model.upsampler import GuidedUpsampler

__all__ = ["check_upsample_parity"]

WORKING = 64
FACTORS = (1.5, 2.0, 4.0)
TOLERANCE = 5e-3  # of [0, 255], largest difference before rounding to bytes: float32 sums in another order
TOLERANCE_FP16 = 0.25  # mean difference in [0, 255]; single patches change where two are almost equally alike
REPLACE_TOLERANCE = {"float32": 2e-5, "float16": 2e-3}  # of values in [-1, 1]


def check_upsample_parity(upsampler: GuidedUpsampler, folder: Path, *, seed: int) -> dict[str, Any]:
    """Compares the exported graphs with torch at several factors, and ``iic::PatchReplace`` with the numpy reference.

    Args:
        upsampler: the network the graphs were made from.
        folder: holds the graphs.
        seed: of the random inputs.

    Returns:
        ``factors``, one row each with the largest difference of the FP32 graphs to torch and the mean difference of the
        FP16 graphs to the FP32 graphs, both in steps of 8 bits; ``patch_replace``, one row a precision with the largest
        difference to the float64 reference; and ``passed``.
    """
    rng = np.random.default_rng(seed)
    names = ("similarity", "features", "replace", "to_rgb")
    exact = {name: _session(onnx.load(folder / f"{name}.onnx")) for name in names}
    half = {name: _session(rounded(onnx.load(folder / f"{name}.fp16.onnx"))) for name in names}
    rows = [_check_factor(factor, upsampler, exact, half, rng) for factor in FACTORS]
    replace = {dtype: _check_replace(dtype, rng) for dtype in REPLACE_TOLERANCE}
    passed = all(row["fp32"] < TOLERANCE and row["fp16"] < TOLERANCE_FP16 for row in rows) and all(
        error < REPLACE_TOLERANCE[dtype] for dtype, error in replace.items()
    )
    return {"tolerance": TOLERANCE, "tolerance_fp16": TOLERANCE_FP16, "factors": rows, "patch_replace": replace} | {
        "passed": passed
    }


def _session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _check_factor(
    factor: float, upsampler: GuidedUpsampler, sessions: dict[str, Any], half: dict[str, Any], rng: Any
) -> dict[str, float]:
    side = round(WORKING * factor)
    p, groups = 4 * side // WORKING, WORKING // 4
    coarse = rng.integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    image = np.kron(coarse, np.ones((4, 4, 1), np.uint8))
    unknown = np.zeros((side, side), np.uint8)
    top, left = rng.integers(0, side // 2, 2)
    unknown[top : top + side // 3, left : left + side // 4] = 1
    y = rng.uniform(-1, 1, (1, 3, WORKING, WORKING)).astype(np.float32)
    m = unknown.reshape(WORKING, side // WORKING, WORKING, side // WORKING) if side % WORKING == 0 else None
    low_m = (
        np.zeros((1, 1, WORKING, WORKING), np.float32) if m is None else m.max((1, 3))[None, None].astype(np.float32)
    )
    hole = unknown.reshape(groups, p, groups, p).max((1, 3))[None].astype(np.float32)
    made, made_in_half = (_in_onnx(s, image, unknown, y, low_m, hole, factor) for s in (sessions, half))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    inputs = x, torch.from_numpy(unknown)[None, None].float(), torch.from_numpy(y), torch.from_numpy(low_m)
    with torch.no_grad():
        made_in_torch = _pixels(upsampler(*inputs).image)
    exact = np.where(unknown[..., None] > 0, made_in_torch, image)
    return {
        "factor": factor,
        # The graph gives bytes: what it may differ by before rounding is what torch lies off the byte.
        "fp32": float(np.maximum(np.abs(made - np.clip(exact, 0, 255)) - 0.5, 0).max()),
        "fp16": float(np.abs(made_in_half - made)[unknown > 0].mean()),
    }


def _in_onnx(
    sessions: dict[str, Any],
    image: NDArray[np.uint8],
    unknown: NDArray[np.uint8],
    y: NDArray[np.float32],
    m: NDArray[np.float32],
    hole: NDArray[np.float32],
    factor: float,
) -> NDArray[np.float64]:
    weights = base_weights(factor)
    p, groups = len(weights), WORKING // 4
    low = np.pad(y, ((0, 0), (0, 0), (BASE_REACH, BASE_REACH), (BASE_REACH, BASE_REACH)), mode="edge")
    order, visible = np.eye(3, dtype=np.float32), 1 - unknown
    (q,) = sessions["similarity"].run(["q"], {"low": low, "m": m})
    base = {"low": low, "weights": weights, "image": image, "order": order}
    features, inside = sessions["features"].run(["features", "inside"], base | {"visible": visible})
    first, second, share = blend(groups, p)
    feeds = {"q": q, "features": features, "inside": inside, "hole": hole, "weight": patch_weights(visible, p)[None]}
    feeds |= {"windows": windows(groups, p), "first": first, "second": second, "share": share}
    (mixed,) = sessions["replace"].run(["mixed"], feeds)
    keep = np.zeros((3, 1, 1), np.float32)
    (filled,) = sessions["to_rgb"].run(["filled"], base | {"mixed": mixed, "hole": unknown, "keep": keep})
    return np.asarray(filled, np.float64)


def _check_replace(dtype: str, rng: Any) -> float:
    session = _session(build_patch_replace(30.0, dtype))
    b, n, d, width = 2, 700, 16, 40
    q, k = (F.normalize(torch.from_numpy(rng.normal(size=(b, n, d))), dim=2).numpy().astype(dtype) for _ in range(2))
    v = rng.uniform(-1, 1, (b, n, width)).astype(dtype)
    hole = (rng.random((b, n)) < 0.3).astype(np.float32)
    weight = (rng.random((b, n)) * (rng.random((b, n)) < 0.7)).astype(np.float32)
    out, replaced = session.run(None, {"q": q, "k": k, "v": v, "hole": hole, "weight": weight})
    expected, told = patch_replace(q, k, v, hole, weight, scale=30.0)
    if (replaced != told).any() or (out[hole == 0] != v[hole == 0]).any():
        return float("inf")
    return float(np.abs(out - expected).max())


def _pixels(image: Tensor) -> NDArray[np.float64]:
    return np.asarray(image[0].permute(1, 2, 0) * 127.5 + 127.5, np.float64)
