"""Does each graph of guided upsampling compute what torch, or the numpy reference, computes from the same input?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.rounding import rounded
from export.upsample_graphs import search_options
from iic_rt.patches import patch_weights
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search
from iic_rt.resampling import BASE_REACH, base_weights
from training.model.upsampler import GuidedUpsampler, enlarge

__all__ = ["check_upsample_parity"]

WORKING = 64
FACTORS = (1.0, 1.5, 2.0, 4.0)
GRAPHS = ("similarity", "search", "detail", "replace", "add_detail")
# Largest differences of the FP32 graphs: float32 sums in another order. Descriptors are of unit length, detail in
# about [-1, 1], pixels in steps of 8 bits before rounding to bytes. Of the sources it is the share that differs, as
# float32 and float64 may where two logits are all but equal.
TOLERANCES = {"q": 1e-4, "source": 0.02, "detail": 1e-4, "mixed": 1e-4, "filled": 5e-3}
# Mean differences of the FP16 graphs to the FP32 graphs from the same input.
TOLERANCES_FP16 = {"q": 2e-3, "source": 0.05, "detail": 1e-3, "mixed": 1e-3, "filled": 0.25}

Arrays = dict[str, NDArray[Any]]


def check_upsample_parity(upsampler: GuidedUpsampler, folder: Path, *, seed: int) -> dict[str, Any]:
    """Compares every exported graph with torch, those of the project's operators with the numpy reference.

    Each graph gets what the FP32 graphs before it gave, so that no difference hides another.

    Args:
        upsampler: the network the graphs were made from.
        folder: holds the graphs.
        seed: of the random inputs.

    Returns:
        ``factors``, one row each with ``fp32`` and ``fp16``, differences by output as ``TOLERANCES`` and
        ``TOLERANCES_FP16`` count them; and ``passed``.
    """
    rng = np.random.default_rng(seed)
    exact = {name: _session(onnx.load(folder / f"{name}.onnx")) for name in GRAPHS}
    half = {name: _session(rounded(onnx.load(folder / f"{name}.fp16.onnx"))) for name in GRAPHS}
    rows = [_check_factor(factor, upsampler, exact, half, rng) for factor in FACTORS]
    passed = all(
        row[precision][name] <= limit
        for row in rows
        for precision, limits in (("fp32", TOLERANCES), ("fp16", TOLERANCES_FP16))
        for name, limit in limits.items()
    )
    return {"tolerances": TOLERANCES, "tolerances_fp16": TOLERANCES_FP16, "factors": rows, "passed": passed}


def _session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _check_factor(
    factor: float, upsampler: GuidedUpsampler, exact: dict[str, Any], half: dict[str, Any], rng: Any
) -> dict[str, Any]:
    feeds = _scene(factor, rng)
    made, made_in_half = dict(feeds), {}
    for name in GRAPHS:
        made |= _run(exact[name], made)
        made_in_half |= _run(half[name], made)
    torch_made = _in_torch(upsampler, made)
    inside = made["inside"] > 0
    shown = feeds["hole_pixels"][..., None] > 0
    exact_pixels = np.where(shown, torch_made["filled"], feeds["image"])
    is_hole = feeds["hole"][0] > 0

    def differing(sources: NDArray[Any], others: NDArray[Any]) -> float:
        return float((sources[0, 0][is_hole] != others[0, 0][is_hole]).mean())

    return {
        "factor": factor,
        "fp32": {
            "q": _largest(made["q"] - torch_made["q"]),
            "source": differing(made["source"], torch_made["source"]),
            "detail": _largest(made["detail"] - torch_made["detail"]),
            "mixed": _largest(made["mixed"] - torch_made["mixed"]),
            # The graph gives bytes: what it may differ by before rounding is what torch lies off the byte.
            "filled": float(np.maximum(np.abs(made["filled"] - np.clip(exact_pixels, 0, 255)) - 0.5, 0).max()),
        },
        "fp16": {
            "q": _mean(made_in_half["q"] - made["q"]),
            "source": differing(made_in_half["source"], made["source"]),
            "detail": _mean(made_in_half["detail"] - made["detail"]),
            "mixed": _mean((made_in_half["mixed"] - made["mixed"])[np.broadcast_to(inside, made["mixed"].shape)]),
            "filled": _mean(made_in_half["filled"].astype(float)[shown[..., 0]] - made["filled"][shown[..., 0]]),
        },
    }


def _scene(factor: float, rng: Any) -> Arrays:
    """An image of random blocks with a box as its hole, a random result of the loop, and the operands of the factor."""
    side = round(WORKING * factor)
    p, groups = 4 * side // WORKING, WORKING // 4
    image = np.kron(rng.integers(0, 256, (side // 4, side // 4, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    hole = np.zeros((side, side), np.uint8)
    top, left = rng.integers(0, side // 2, 2)
    hole[top : top + side // 3, left : left + side // 4] = 1
    y = rng.uniform(-1, 1, (1, 3, WORKING, WORKING)).astype(np.float32)
    border = (BASE_REACH, BASE_REACH)
    order = np.eye(3, dtype=np.float32)
    return {
        "image": image,
        "visible": 1 - hole,
        "hole_pixels": hole,
        "low": np.pad(y, ((0, 0), (0, 0), border, border), mode="edge"),
        "m": (rng.random((1, 1, WORKING, WORKING)) < 0.1).astype(np.float32),
        "weights": base_weights(factor),
        "order": order,
        "keep": np.zeros((3, 1, 1), np.float32),
        "hole": hole.reshape(groups, p, groups, p).max((1, 3))[None].astype(np.float32),
        "weight": patch_weights(1 - hole, p)[None],
    }


def _run(session: Any, given: Arrays) -> Arrays:
    """The outputs by name; inputs are taken in the type that the graph has them in."""
    feeds = {}
    for tensor in session.get_inputs():
        name = "hole_pixels" if tensor.name == "hole" and tensor.type == "tensor(uint8)" else tensor.name
        feeds[tensor.name] = given[name].astype(np.float16) if tensor.type == "tensor(float16)" else given[name]
    outputs = [tensor.name for tensor in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, feeds), strict=True))


@torch.no_grad()
def _in_torch(upsampler: GuidedUpsampler, made: Arrays) -> Arrays:
    """What each graph should have made of its inputs; ``filled`` before it is rounded."""
    low, m = torch.from_numpy(made["low"]), torch.from_numpy(made["m"])
    x = torch.from_numpy(made["image"]).permute(2, 0, 1)[None].float() / 127.5 - 1
    unknown = 1 - torch.from_numpy(made["visible"])[None, None].float()
    base = enlarge(low, torch.from_numpy(made["weights"]))
    own = low[:, :, BASE_REACH:-BASE_REACH, BASE_REACH:-BASE_REACH]
    options = asdict(search_options(upsampler))
    source, _ = patch_search(made["q"], made["hole"], made["weight"], **options)
    mixed, _ = patch_replace(made["detail"], made["inside"], made["source"], made["share"])
    filled = base + torch.from_numpy(made["mixed"])
    return {
        "q": upsampler.similarity(own, m).numpy(),
        "source": source,
        "detail": ((x - base) * (1 - unknown)).numpy(),
        "mixed": mixed,
        "filled": _pixels(filled),
    }


def _pixels(image: Tensor) -> NDArray[np.float64]:
    return np.asarray(image[0].permute(1, 2, 0) * 127.5 + 127.5, np.float64)


def _largest(difference: NDArray[np.floating]) -> float:
    return float(np.abs(difference).max())


def _mean(difference: NDArray[np.floating]) -> float:
    return float(np.abs(difference).mean())
