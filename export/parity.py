"""Does ONNX Runtime compute what torch computes, and do both compute what the numpy reference says?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from iic_rt.reference.algorithm import SURER, Array, iterate, prepare
from iic_rt.resampling import area_weights
from training.model.network import Generator
from training.model.step import Step

__all__ = ["check_parity", "parity_masks"]

ITERATIONS = 6
SIZE = 128  # of the loop; the graph is fully convolutional, and a small size leaves time for many cases
TOLERANCE = 2e-4  # in [-1, 1]: 1/40 of one step of an 8-bit pixel
TIE = 1e-5  # confidences nearer than this to what decides may be kept or left: rounding may decide either way


def parity_masks(rng: np.random.Generator, size: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Masks of every kind, uint8 [size, size] in {0, 1}, by name."""

    def blank() -> NDArray[np.uint8]:
        return np.zeros((size, size), np.uint8)

    box = blank()
    top, left = rng.integers(size // 8, size // 2, 2)
    box[top : top + size // 3, left : left + size // 4] = 1
    yield "box", box
    border = blank()
    border[:, : size // 3] = 1
    yield "at the border", border
    pixel = blank()
    pixel[tuple(rng.integers(size, size=2))] = 1
    yield "one pixel", pixel
    wire = blank()
    wire[size // 2 : size // 2 + 2] = 1
    yield "wire", wire
    yield "noise", (rng.random((size, size)) < 0.2).astype(np.uint8)
    yield "two holes", box | np.roll(box, (size // 2, size // 2), (0, 1))
    most = 1 - blank()
    most[: size // 8] = 0
    yield "most of the picture", most
    yield "everything", 1 - blank()
    yield "nothing", blank()


def check_parity(generator: Generator, folder: Path, *, seed: int) -> dict[str, Any]:
    """Compares torch, ONNX Runtime and the numpy reference over random pictures and masks, T = 1 to 6.

    Each iteration starts all three from the same state, so that an early rounding difference is not counted again in
    every later iteration; ``free`` then lets ONNX Runtime and the reference run alone for six iterations. It is shown
    and not judged: one tie that rounding decides changes what every later iteration sees.

    Args:
        generator: the network the graphs were made from.
        folder: holds ``prepare.onnx`` and ``step.onnx``.
        seed: of the random inputs.

    Returns:
        One row a mask, and ``passed``. Errors are maxima, pictures in [-1, 1]; flips are the share of the hole where
        one side took a pixel and the other did not although its confidence clearly decides.
    """
    rng = np.random.default_rng(seed)
    sessions = {
        name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        for name in ("prepare", "step")
    }
    rows = [_check_mask(name, mask, generator, sessions, rng) for name, mask in parity_masks(rng, SIZE * 5 // 4)]
    passed = all(
        row["prepare"] < TOLERANCE and row["reference"] == 0 and row["network"] < TOLERANCE and row["flips"] == 0
        for row in rows
    )
    return {"seed": seed, "tolerance": TOLERANCE, "iterations": ITERATIONS, "rows": rows, "passed": passed}


def _check_mask(
    name: str, mask: NDArray[np.uint8], generator: Generator, sessions: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    side = mask.shape[0]
    coarse = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    image = np.kron(coarse, np.ones((8, 8, 1), np.uint8))  # flat patches: white noise alone would be a strange picture
    weights = area_weights(side / SIZE)
    order = np.eye(3, dtype=np.float32)[::-1].copy()  # of OpenCV
    expected = prepare(image, 1 - mask, weights, order)
    feeds = {"image": image, "visible": 1 - mask, "weights": weights, "order": order}
    y, m = sessions["prepare"].run(None, feeds)
    row: dict[str, Any] = {
        "mask": name,
        "prepare": max(_largest(y - expected[0]), _largest(m - expected[1])),
        "reference": 0.0,
        "network": 0.0,
        "flips": 0.0,
    }

    def network(z: Array, hole: Array) -> tuple[Array, Array]:
        with torch.no_grad():
            g, conf, _coarse = generator(torch.from_numpy(z), torch.from_numpy(hole))
        return g.numpy(), conf.numpy()

    step = Step(generator).eval()
    state = y, m, np.ones_like(m)
    free = state
    for t, after in enumerate(iterate(network, y, m, ITERATIONS)):
        first = np.full(1, t == 0, np.float32)
        with torch.no_grad():
            in_torch = [v.numpy() for v in step(*(torch.from_numpy(v) for v in (*state, first)))]
        feeds = dict(zip(("y", "m", "c", "first"), (*state, first), strict=True))
        in_onnx = sessions["step"].run(None, feeds)
        free = sessions["step"].run(None, dict(zip(("y", "m", "c", "first"), (*free, first), strict=True)))
        row["reference"] = max(row["reference"], *(_largest(a - b) for a, b in zip(in_torch, after, strict=True)))
        agree = in_onnx[1] == after[1]
        error = max(_largest((in_onnx[0] - after[0]) * agree), _largest((in_onnx[2] - after[2]) * agree))
        row["network"] = max(row["network"], error)
        decides = 0.5 if t == 0 else state[2] + SURER
        clear = np.abs(after[2] - decides) > TIE
        row["flips"] = max(row["flips"], float((~agree & clear).sum() / max(1.0, m.sum())))
        row["free"] = float(np.abs(free[0] - after[0]).mean())
        state = after
    return row


def _largest(difference: NDArray[Any]) -> float:
    return float(np.abs(difference).max())
