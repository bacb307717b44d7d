"""Generators that were trained and never released, as methods beside the others: the loop alone, in torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods import Method
from training.checkpoint import load_state
from training.model.network import PRESETS, Generator
from training.validate import autocast, iterate

__all__ = ["fill", "loop_method", "read_run", "to_pixels"]

Pixels = NDArray[np.uint8]


def to_pixels(x: Tensor) -> Pixels:
    """[B, 3, H, W] in [-1, 1] -> uint8 [B, H, W, 3]."""
    return np.asarray(((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


@torch.no_grad()
def fill(generator: Generator, x: Tensor, m: Tensor) -> tuple[Pixels, Pixels, NDArray[np.float32]]:
    """Results after one and after four iterations, and the confidence [B, H, W] of the first."""
    with autocast(x.device):
        found = list(iterate(generator, x, m, 4))
    return to_pixels(found[0][0]), to_pixels(found[-1][0]), found[0][2][:, 0].cpu().numpy()


def loop_method(generator: Generator, iterations: int) -> Method:
    """The loop on pictures whose sides are multiples of 16; known pixels stay as they are."""

    @torch.no_grad()
    def method(image: Pixels, hole: Pixels) -> Pixels:
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
        *_, (y, _, _) = iterate(generator, x, torch.from_numpy(hole)[None, None].float(), iterations)
        return np.where(hole[..., None] > 0, to_pixels(y)[0], image)

    return method


def read_run(run: Path) -> tuple[Generator, dict[str, Any]]:
    """The averaged weights at the end of a run, and what it was."""
    config = json.loads((run / "config.json").read_text())
    tensors, progress = load_state(run / "state.safetensors")
    generator = Generator(PRESETS[config["preset"]])
    generator.load_state_dict({k.removeprefix("ema."): v for k, v in tensors.items() if k.startswith("ema.")})
    facts = {"samples": int(progress["samples"]), "minutes": round(progress["minutes"], 1), "seed": config["seed"]}
    return generator.eval(), facts
