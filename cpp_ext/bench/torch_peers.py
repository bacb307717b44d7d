"""Both operators in plain torch, one image at a time: what the kernels are timed beside.

Each has two forms. One takes every patch or pixel, knows no size that depends on the hole and can be captured into a
CUDA graph. The other gathers the hole first, as the kernels do, and waits for the host to learn how large it is.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

__all__ = ["replace_all", "replace_gathered", "search_all", "search_gathered"]

NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # above, below, left, right
SMALLEST = 1e-6


def search_all(
    q: Tensor, hole: Tensor, weight: Tensor, *, best: int, scale: float, coherence: float, sweeps: int
) -> tuple[Tensor, Tensor]:
    """``source`` [best, N] int64 and ``share`` [best, N] from ``q`` [N, D], ``hole`` and ``weight`` [rows, columns]."""
    is_hole = (hole > 0).flatten() & (weight > 0).any()
    value, number = _greatest((q @ q.T).float() * scale + weight.flatten().log(), best)
    source = torch.where(is_hole, number.T, 0)
    share = torch.where(is_hole, torch.softmax(value, 1).T, 0.0)
    return _swept(source, q, hole, weight, scale=scale, coherence=coherence, sweeps=sweeps), share


def search_gathered(
    q: Tensor, hole: Tensor, weight: Tensor, *, best: int, scale: float, coherence: float, sweeps: int
) -> tuple[Tensor, Tensor]:
    """As :func:`search_all`; at least ``best`` patches must be valid."""
    rows, valid = (hole.flatten() > 0).nonzero()[:, 0], (weight.flatten() > 0).nonzero()[:, 0]
    value, number = _greatest((q[rows] @ q[valid].T).float() * scale + weight.flatten()[valid].log(), best)
    source, share = hole.new_zeros(best, len(q), dtype=torch.int64), hole.new_zeros(best, len(q))
    source[:, rows], share[:, rows] = valid[number].T, torch.softmax(value, 1).T
    return _swept(source, q, hole, weight, scale=scale, coherence=coherence, sweeps=sweeps), share


def _greatest(logit: Tensor, best: int) -> tuple[Tensor, Tensor]:
    if best == 1:
        value, number = logit.max(1, keepdim=True)
    else:
        value, number = logit.topk(best, 1)
    return value, number


def _swept(
    source: Tensor, q: Tensor, hole: Tensor, weight: Tensor, *, scale: float, coherence: float, sweeps: int
) -> Tensor:
    if not sweeps:
        return source
    rows, columns = hole.shape
    patch = torch.arange(rows * columns, device=q.device)
    row, column = patch // columns, patch % columns
    is_hole, bias = (hole > 0).flatten(), weight.flatten().log()
    near, fits = [], []
    for up, left in NEIGHBOURS:
        y, x = row + up, column + left
        near.append(y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1))
        fits.append((y >= 0) & (y < rows) & (x >= 0) & (x < columns) & is_hole[near[-1]])
    own = source[0]
    for colour in (0, 1) * sweeps:
        found, allowed = [own], [torch.ones_like(is_hole)]
        for (up, left), at, fit in zip(NEIGHBOURS, near, fits, strict=True):
            y, x = own[at] // columns - up, own[at] % columns - left
            moved = y.clamp(0, rows - 1) * columns + x.clamp(0, columns - 1)
            found.append(moved)
            inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            allowed.append(fit & inside & (bias[moved] > -torch.inf))
        candidates, ok = torch.stack(found), torch.stack(allowed)
        agreeing = ((candidates[:, None] == candidates[None, 1:]) & ok[None, 1:]).sum(1)
        value = (q.float() * q[candidates].float()).sum(2) * scale + bias[candidates] + coherence * agreeing
        chosen = candidates.gather(0, torch.where(ok, value, -torch.inf).argmax(0)[None])[0]
        own = torch.where(is_hole & ((row + column) % 2 == colour), chosen, own)
    return torch.where((weight > 0).any(), own, 0)[None]


def replace_all(detail: Tensor, inside: Tensor, source: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """``mixed`` [C, h, w] and ``missing`` [h, w]; ``inside`` is [h, w], the sources are [best, rows, columns]."""
    pixels = torch.arange(inside.numel(), device=inside.device)
    value, reached = _copied(detail, inside, source, share, pixels)
    copied = (inside.flatten() > 0) & reached
    mixed = torch.where(copied, value, detail.flatten(1)).reshape(detail.shape)
    return mixed, ((inside > 0) & ~reached.reshape(inside.shape)).to(inside.dtype)


def replace_gathered(detail: Tensor, inside: Tensor, source: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`replace_all`."""
    pixels = (inside.flatten() > 0).nonzero()[:, 0]
    value, reached = _copied(detail, inside, source, share, pixels)
    mixed, missing = detail.flatten(1).clone(), torch.zeros_like(inside).flatten()
    mixed[:, pixels] = torch.where(reached, value, mixed[:, pixels])
    missing[pixels] = (~reached).to(inside.dtype)
    return mixed.reshape(detail.shape), missing.reshape(inside.shape)


def _copied(detail: Tensor, inside: Tensor, source: Tensor, share: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """What is copied to ``pixels`` [n] of the map: values [C, n], and whether there are any [n]."""
    best, rows, columns = source.shape
    height, width = inside.shape
    p = height // rows
    flat, known = detail.flatten(1), ~(inside.flatten() > 0)
    row, column = pixels // width, pixels % width
    down, across = _patches_over(row, p, rows), _patches_over(column, p, columns)
    total = torch.zeros(len(detail), len(pixels), device=detail.device)
    reached = torch.zeros(len(pixels), device=detail.device)
    for (patch_row, tall), (patch_column, wide) in product(down, across):
        patch = patch_row * columns + patch_column
        for k in range(best):
            j = source[k].flatten()[patch]
            y = (row + (j // columns - patch_row) * p).clamp(0, height - 1)
            x = (column + (j % columns - patch_column) * p).clamp(0, width - 1)
            pixel = y * width + x
            weight = tall * wide * share[k].flatten()[patch] * known[pixel]
            total += torch.where(weight > 0, flat[:, pixel].float(), 0.0) * weight
            reached += weight
    return (total / reached).to(detail.dtype), reached > SMALLEST


def _patches_over(pixel: Tensor, p: int, patches: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    margin = p // 2
    own, at = pixel // p, pixel % p
    low, high = (at < margin) & (own > 0), (at >= p - margin) & (own < patches - 1)
    depth = torch.where(low, at, p - 1 - at)
    weight = torch.where(low | high, (depth + margin + 0.5) / (2 * margin), 1.0)
    return (own, weight), (torch.where(low, own - 1, own + high.long()), 1 - weight)
