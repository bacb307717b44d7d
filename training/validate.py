"""Hole PSNR and perceptual distance on the held-out pictures, and a sheet of samples to look at."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from training.data import Pictures, Plan
from training.losses import feature_distance
from training.model.network import Generator
from training.model.perceptual import PerceptualNetwork
from training.model.step import Step

__all__ = ["autocast", "batches", "hole_psnr", "iterate", "validate", "write_samples", "write_sheet"]


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on a GPU. A CPU without it takes ten times as long as in float32; on one with it torch 2.13's compiled
    kernels write out of bounds, and without the compiler it is slower than float32 with it.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu")


def hole_psnr(y: Tensor, x: Tensor, m: Tensor) -> Tensor:
    """PSNR in dB over the pixels in the hole, one value a picture: images [B, 3, H, W] in [-1, 1] -> [B]."""
    squared = ((y.clamp(-1, 1) - x) / 2).square().mean(1, keepdim=True)
    error = (squared * m).sum((1, 2, 3)) / m.sum((1, 2, 3)).clamp_min(1)
    return -10 * torch.log10(error.clamp_min(1e-10))


def iterate(model: Generator, x: Tensor, m: Tensor, iterations: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Algorithm 1 on a batch: y, m and c after each iteration."""
    step = Step(model)
    y, c = x * (1 - m), torch.zeros_like(m)
    for t in range(iterations):
        y, m, c = step(y, m, c, torch.full((1,), float(t == 0), device=x.device))
        yield y.float(), m.float(), c.float()


def batches(plan: Plan, size: int) -> Iterator[Plan]:
    """The plan in parts of ``size`` pictures."""
    for i in range(0, len(plan.indices), size):
        yield Plan(
            plan.indices[i : i + size], plan.boxes[i : i + size], plan.flips[i : i + size], plan.holes[i : i + size]
        )


@functools.cache
def perceptual_network(device: torch.device) -> PerceptualNetwork | None:
    """The network of the perceptual distance, where the extra ``quality`` is installed."""
    try:
        return PerceptualNetwork().to(device)
    except FileNotFoundError:
        return None


@torch.no_grad()
def validate(model: Generator, pictures: Pictures, plan: Plan, *, batch: int = 16) -> dict[str, float]:
    """Mean scores on the plan's pictures.

    Returns:
        hole PSNR (dB) after one and after four iterations, and of the confident and the other pixels at T = 1; the
        perceptual distance after four, where its network is installed; the share of confident pixels.
    """
    network = perceptual_network(pictures.device)
    scores: dict[str, list[Tensor]] = {"psnr_t1": [], "psnr_t4": [], "psnr_sure": [], "psnr_unsure": []}
    shares = []
    for part in batches(plan, batch):
        x, m = pictures.crops(part)
        with autocast(x.device):
            states = list(iterate(model, x, m, 4))
        y, _, c = states[0]
        sure = (c > 0.5).float() * m  # outside the hole the loop carries a confidence of 1
        shares.append((sure.sum() / m.sum()).reshape(1))
        scores["psnr_t1"].append(hole_psnr(y, x, m))
        scores["psnr_t4"].append(hole_psnr(states[-1][0], x, m))
        if network is not None:
            pairs = zip(network(states[-1][0]), network(x), strict=True)
            tap_distances = [feature_distance(found, truth, m) for found, truth in pairs]
            scores.setdefault("distance", []).append(torch.stack(tap_distances).mean().expand(len(x)))
        for name, area in (("psnr_sure", sure), ("psnr_unsure", m - sure)):
            some = area.sum((1, 2, 3)) > 0
            scores[name].append(hole_psnr(y, x, area)[some])
    joined = {name: torch.cat(values) for name, values in scores.items()}
    result = {name: float(values.mean()) for name, values in joined.items() if len(values)}
    return result | {"sure_share": float(torch.cat(shares).mean())}


@torch.no_grad()
def write_samples(path: Path, model: Generator, pictures: Pictures, plan: Plan, *, count: int = 10) -> None:
    """One row a picture: input, one iteration, four iterations, confidence at the first, truth."""
    x, m = pictures.crops(next(batches(plan, count)))
    with autocast(x.device):
        states = list(iterate(model, x, m, 4))
    grey = (states[0][2] * 2 - 1).expand_as(x) * m + (1 - m) * 1
    write_sheet(path, [x * (1 - m), states[0][0], states[-1][0], grey, x])


def write_sheet(path: Path, columns: list[Tensor]) -> None:
    """A PNG with one column for each entry, pictures [B, 3, H, W] in [-1, 1] below each other."""
    sheet = torch.cat([torch.cat(list(column), 1) for column in columns], 2)
    pixels = ((sheet.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))
