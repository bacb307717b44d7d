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
from iic_rt.patches import MATCH_STEPS, match_places, patch_weights, refine
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search
from iic_rt.reference.refine import copied_softly, matched_twice
from iic_rt.resampling import BASE_REACH, PATCH, base_weights, guide_taps
from training.model.upsampler import GuidedUpsampler, enlarge

__all__ = ["check_upsample_parity"]

WORKING = 64
FACTORS = (1.0, 1.5, 2.0, 4.0)
HALVED = ("similarity", "search", "detail", "replace", "add_detail")  # differ with the precision
GRAPHS = (*HALVED[:2], "refine", *HALVED[2:])
BEHIND_REFINE = GRAPHS[3:]  # take its outputs in place of its inputs
# Largest differences of the FP32 graphs: float32 sums in another order. Descriptors are of unit length, refined and
# detail in about [-1, 1], pixels in steps of 8 bits before rounding to bytes. Of the offsets it is the share that
# differs, as float32 and float64 may where two logits or costs are all but equal; matched ones hand that on.
TOLERANCES = {"q": 1e-4, "offset": 0.02, "matched": 0.1, "matched on the host": 0.1, "refined": 1e-4}
TOLERANCES |= {"detail": 1e-4, "mixed": 1e-4, "filled": 5e-3}
# Mean differences of the FP16 graphs to the FP32 graphs from the same input.
TOLERANCES_FP16 = {"q": 2e-3, "offset": 0.05, "detail": 1e-3, "mixed": 1e-3, "filled": 0.25}

Arrays = dict[str, NDArray[Any]]
Values = NDArray[np.floating]


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
    half = {name: _session(rounded(onnx.load(folder / f"{name}.fp16.onnx"))) for name in HALVED}
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
    made, made_in_half = dict(feeds), Arrays()
    for name in GRAPHS:
        given = made | ({"low": made["refined"], "offset": made["matched"]} if name in BEHIND_REFINE else {})
        made |= _run(exact[name], given)
        if name in half:
            made_in_half |= _run(half[name], given)
    torch_made = _in_torch(upsampler, made)
    inside = made["inside"] > 0
    shown = feeds["hole_pixels"][..., None] > 0
    exact_pixels = np.where(shown, torch_made["filled"], feeds["image"])
    is_hole = feeds["hole"][0] > 0

    def differing(offsets: NDArray[Any], others: NDArray[Any]) -> float:
        return float((offsets != others).any(2)[0, 0][is_hole].mean())

    return {
        "factor": factor,
        "fp32": {
            "q": _largest(made["q"] - torch_made["q"]),
            "offset": differing(made["offset"], torch_made["offset"]),
            "matched": differing(made["matched"], torch_made["matched"]),
            "matched on the host": differing(made["matched"], torch_made["matched on the host"]),
            "refined": _largest(made["refined"] - torch_made["refined"]),
            "detail": _largest(made["detail"] - torch_made["detail"]),
            "mixed": _largest(made["mixed"] - torch_made["mixed"]),
            # The graph gives bytes: what it may differ by before rounding is what torch lies off the byte.
            "filled": float(np.maximum(np.abs(made["filled"] - np.clip(exact_pixels, 0, 255)) - 0.5, 0).max()),
        },
        "fp16": {
            "q": _mean(made_in_half["q"] - made["q"]),
            "offset": differing(made_in_half["offset"], made["offset"]),
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
    order = np.eye(3, dtype=np.float32)
    patches = hole.reshape(groups, p, groups, p).max((1, 3))[None].astype(np.float32)
    filled = np.maximum(rng.random((1, 1, WORKING, WORKING)) < 0.1, np.kron(patches, np.ones((PATCH, PATCH))))
    return {
        "image": image,
        "visible": 1 - hole,
        "hole_pixels": hole,
        "low": _padded(y),
        "m": filled.astype(np.float32),
        "valid": match_places(1 - hole, WORKING)[None],
        "weights": base_weights(factor),
        "order": order,
        "keep": np.zeros((3, 1, 1), np.float32),
        "hole": patches,
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
    base = enlarge(torch.from_numpy(made["refined"]), torch.from_numpy(made["weights"]))
    own = low[:, :, BASE_REACH:-BASE_REACH, BASE_REACH:-BASE_REACH]
    options = asdict(search_options(upsampler))
    of_refine = [made[name] for name in ("low", "m", "valid", "offset", "share")]
    offset, _ = patch_search(made["q"], made["hole"], made["weight"], **options)
    # The choice and the picture apart: where costs are all but equal, both may be right and the pictures differ.
    refined = copied_softly(low.numpy(), made["m"], made["matched"], made["share"], margin=BASE_REACH)
    mixed, _ = patch_replace(made["detail"], made["inside"], made["matched"], made["share"])
    filled = base + torch.from_numpy(made["mixed"])
    return {
        "q": upsampler.similarity(own, m).numpy(),
        "offset": offset,
        "matched": matched_twice(*of_refine, taps=guide_taps(), steps=MATCH_STEPS),
        "matched on the host": _matched_on_the_host(made),
        "refined": refined,
        "detail": ((x - base) * (1 - unknown)).numpy(),
        "mixed": mixed,
        "filled": _pixels(filled),
    }


def _matched_on_the_host(made: Arrays) -> NDArray[np.int32]:
    low, m, valid, offset, share = (made[name][0] for name in ("low", "m", "valid", "offset", "share"))
    return refine(low, m[0], valid, offset[0], share[0])[1][None, None]


def _padded(picture: Values) -> Values:
    border = (BASE_REACH, BASE_REACH)
    return np.pad(picture, ((0, 0), (0, 0), border, border), mode="edge")


def _pixels(image: Tensor) -> NDArray[np.float64]:
    return np.asarray(image[0].permute(1, 2, 0) * 127.5 + 127.5, np.float64)


def _largest(difference: NDArray[np.floating]) -> float:
    return float(np.abs(difference).max())


def _mean(difference: NDArray[np.floating]) -> float:
    return float(np.abs(difference).mean())
