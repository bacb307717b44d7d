"""The operators in plain torch, one image at a time: what the kernels are timed beside.

Each has two forms. One takes every patch or pixel, knows no size that depends on the hole and can be captured into a
CUDA graph. The other gathers the hole first, as the kernels do, and waits for the host to learn how large it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from iic_rt.reference.patch_match import AROUND, COHERENCE, NEIGHBOURS, PATCH, WINDOW
from iic_rt.reference.patch_replace import SMALLEST

__all__ = ["match_all", "match_gathered", "replace_all", "replace_gathered", "search_all", "search_gathered"]


def search_all(q: Tensor, hole: Tensor, weight: Tensor, *, best: int, scale: float) -> tuple[Tensor, Tensor]:
    """``offset`` [best, 2, rows, columns] int64 and ``share`` [best, rows, columns].

    ``q`` is [N, D], ``hole`` and ``weight`` are [rows, columns].
    """
    is_hole = (hole > 0).flatten() & (weight > 0).any()
    value, number = _greatest((q @ q.T).float() * scale + weight.flatten().log(), best)
    patch = torch.arange(len(q), device=q.device)
    source = torch.where(is_hole, number.T, patch)
    share = torch.where(is_hole, torch.softmax(value, 1).T, 0.0)
    return _offsets(source, patch, hole.shape), share.reshape(best, *hole.shape)


def search_gathered(q: Tensor, hole: Tensor, weight: Tensor, *, best: int, scale: float) -> tuple[Tensor, Tensor]:
    """As :func:`search_all`; at least ``best`` patches must be valid."""
    rows, valid = (hole.flatten() > 0).nonzero()[:, 0], (weight.flatten() > 0).nonzero()[:, 0]
    value, number = _greatest((q[rows] @ q[valid].T).float() * scale + weight.flatten()[valid].log(), best)
    patch, share = torch.arange(len(q), device=q.device), hole.new_zeros(best, len(q))
    source = patch.repeat(best, 1)
    source[:, rows], share[:, rows] = valid[number].T, torch.softmax(value, 1).T
    return _offsets(source, patch, hole.shape), share.reshape(best, *hole.shape)


def _greatest(logit: Tensor, best: int) -> tuple[Tensor, Tensor]:
    if best == 1:
        value, number = logit.max(1, keepdim=True)
    else:
        value, number = logit.topk(best, 1)
    return value, number


def _offsets(source: Tensor, patch: Tensor, grid: Sequence[int]) -> Tensor:
    """[best, 2, rows, columns] from the numbers of patches, ``source`` [best, N] and their own ``patch`` [N]."""
    columns = grid[1]
    steps = torch.stack((source // columns - patch // columns, source % columns - patch % columns), 1)
    return (PATCH * steps).reshape(len(source), 2, *grid)


def match_all(
    features: Tensor, valid: Tensor, offset: Tensor, share: Tensor, *, steps: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """``matched`` [2, rows, columns] int64 and ``cost`` [rows, columns].

    ``features`` is [C, h, w], ``valid`` [h, w], ``offset`` [2, rows, columns] and ``share`` [rows, columns].
    """
    patches = torch.arange(share.numel(), device=share.device)
    found, cost = _matched(features, valid, offset.flatten(1), share, patches, steps)
    is_hole = share > 0
    matched = torch.where(is_hole, found.reshape(offset.shape), offset)
    return matched, torch.where(is_hole, cost.reshape(share.shape), 0.0)


def match_gathered(
    features: Tensor, valid: Tensor, offset: Tensor, share: Tensor, *, steps: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """As :func:`match_all`."""
    patches = (share.flatten() > 0).nonzero()[:, 0]
    matched, cost = offset.flatten(1).long(), torch.zeros_like(share).flatten()
    matched[:, patches], cost[patches] = _matched(features, valid, matched, share, patches, steps)
    return matched.reshape(offset.shape), cost.reshape(share.shape)


def _matched(
    features: Tensor, valid: Tensor, offset: Tensor, share: Tensor, patches: Tensor, steps: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """``patches`` [n] after the sweeps as if all of them were holes: offsets [2, n] and costs [n].

    Those that are no holes have no say in what others choose.
    """
    rows, columns = share.shape
    height, width = valid.shape
    row, column = patches // columns, patches % columns
    found, is_hole, cost = offset.long(), (share > 0).flatten(), torch.zeros_like(share).flatten()

    def neighbours(step: int) -> tuple[Tensor, Tensor]:
        """[4, n], the patches so far above, below, to the left and to the right, and whether they are hole patches."""
        r, c = (torch.stack([at + step * by[axis] for by in NEIGHBOURS]) for axis, at in enumerate((row, column)))
        near = r.clamp(0, rows - 1) * columns + c.clamp(0, columns - 1)
        return near, (r >= 0) & (r < rows) & (c >= 0) & (c < columns) & is_hole[near]

    beside, counts = neighbours(1)
    for step in steps:
        own = found[:, patches]
        near, is_near = neighbours(step)
        moves, exists = [own, *found[:, near].unbind(1)], [torch.ones_like(patches, dtype=torch.bool), *is_near]
        for up, left in AROUND:
            moves.append(torch.stack((own[0] + step * up, own[1] + step * left)))
            exists.append(exists[0])
        candidates = torch.stack(moves, 1)  # [2, 13, n]
        y, x = PATCH * row + candidates[0], PATCH * column + candidates[1]
        inside = (y >= 0) & (y <= height - PATCH) & (x >= 0) & (x <= width - PATCH)
        ok = torch.stack(exists) & inside & (valid[y.clamp(0, height - 1), x.clamp(0, width - 1)] > 0)
        ok[0] = True
        costs = _costs(features, row, column, candidates)
        agrees = (found[:, None, beside] == candidates[:, :, None]).all(0) & counts  # [13, 4, n]
        chosen = torch.where(ok, costs / (1 + COHERENCE * agrees.sum(1)), torch.inf).argmin(0)
        found, cost = found.clone(), cost.clone()
        found[:, patches] = candidates.gather(1, chosen.expand(2, 1, -1))[:, 0]
        cost[patches] = costs.gather(0, chosen[None])[0]
    return found[:, patches], cost[patches]


def _costs(features: Tensor, row: Tensor, column: Tensor, candidates: Tensor) -> Tensor:
    """[13, n] of the offsets ``candidates`` [2, 13, n]."""
    height, width = features.shape[1:]
    flat = features.flatten(1)

    def at(y: Tensor, x: Tensor) -> Tensor:
        return flat[:, y.clamp(0, height - 1) * width + x.clamp(0, width - 1)].float()

    total = torch.zeros(candidates.shape[1:], device=features.device)
    for up, left in product(WINDOW, repeat=2):
        y, x = PATCH * row + up, PATCH * column + left
        total += (at(y + candidates[0], x + candidates[1]) - at(y, x)[:, None]).square().sum(0)
    return total


def replace_all(detail: Tensor, inside: Tensor, offset: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """``mixed`` [C, h, w] and ``missing`` [h, w].

    ``inside`` is [h, w], ``offset`` [best, 2, rows, columns] and ``share`` [best, rows, columns].
    """
    pixels = torch.arange(inside.numel(), device=inside.device)
    value, reached = _copied(detail, inside, offset, share, pixels)
    copied = (inside.flatten() > 0) & reached
    mixed = torch.where(copied, value, detail.flatten(1)).reshape(detail.shape)
    return mixed, ((inside > 0) & ~reached.reshape(inside.shape)).to(inside.dtype)


def replace_gathered(detail: Tensor, inside: Tensor, offset: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`replace_all`."""
    pixels = (inside.flatten() > 0).nonzero()[:, 0]
    value, reached = _copied(detail, inside, offset, share, pixels)
    mixed, missing = detail.flatten(1).clone(), torch.zeros_like(inside).flatten()
    mixed[:, pixels] = torch.where(reached, value, mixed[:, pixels])
    missing[pixels] = (~reached).to(inside.dtype)
    return mixed.reshape(detail.shape), missing.reshape(inside.shape)


def _copied(detail: Tensor, inside: Tensor, offset: Tensor, share: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """What is copied to ``pixels`` [n] of the map: values [C, n], and whether there are any [n]."""
    best, rows, columns = share.shape
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
            down_by, right_by = (offset[k].flatten(1)[:, patch].long() * p + 2) // PATCH
            y, x = (row + down_by).clamp(0, height - 1), (column + right_by).clamp(0, width - 1)
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
