"""The guided upsampling network: patch similarity at low resolution, copying at high resolution (paper, Sec. 3.3)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from iic_rt.patches import FEW, margin_of
from iic_rt.resampling import BASE_REACH, PATCH, base_weights

__all__ = ["GuidedUpsampler", "Replaced", "enlarge", "patch_rows", "unpatch_rows"]

CONTENT = 32  # entries of a descriptor for the patch itself, and as many for what is around it
AROUND = 5  # patches on a side of what is around a patch
SHARES = {"own": 0.3, "around": 0.4, "position": 0.3}  # of the cosine
PERIODS = ((8, 0.35), (4, 0.25), (128, 0.4))  # patches, share
WIDTH = 48  # of the similarity network
DILATIONS = (1, 2, 4, 8)
SMALLEST_WEIGHT = 1e-6  # of a pixel: below it no replaced patch reaches the pixel
FACTOR = 2  # of the high over the low resolution while training


class SimilarityNetwork(nn.Module):
    """One descriptor a patch of the low-resolution result.

    ``forward(y, m)``: y [B, 3, s, s] in [-1, 1], the completed picture; m [B, 1, s, s] in {0, 1}, what was filled; s is
    a multiple of 8. Returns [B, (s / 4)^2, 76] of unit length, patches row by row.

    It sees what was filled because a filled patch is smoother than the known ones it ought to be like. A descriptor
    has three parts: the patch itself, the mean of the 5 x 5 patches around it, which changes slowly and so keeps
    neighbours with neighbours, and the place, see :func:`positions`.
    """

    def __init__(self) -> None:
        super().__init__()
        cell = torch.eye(PATCH**2).reshape(-1, PATCH, PATCH)
        kernel = torch.zeros(4, PATCH**2, 4, PATCH, PATCH)
        for channel in range(4):
            kernel[channel, :, channel] = cell
        self.register_buffer("unshuffle", kernel.flatten(0, 1), persistent=False)
        self.stem = nn.Conv2d(4 * PATCH**2, WIDTH, 3, padding=1)
        self.context = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=d, dilation=d) for d in DILATIONS)
        self.to_descriptor = nn.Conv2d(WIDTH, CONTENT, 1)

    def forward(self, y: Tensor, m: Tensor) -> Tensor:
        x = F.relu(self.stem(F.conv2d(torch.cat((y, m), 1), self.unshuffle, stride=PATCH)))
        for layer in self.context:
            x = x + F.relu(layer(x))
        own = self.to_descriptor(x).float()
        around = F.avg_pool2d(extended(own, AROUND // 2), AROUND, 1)
        place = positions(*x.shape[2:], x.device).expand(len(y), -1, -1)
        parts = {"own": rows(own), "around": rows(around), "position": place}
        return torch.cat([SHARES[name] ** 0.5 * F.normalize(part, dim=2) for name, part in parts.items()], 2)


def extended(x: Tensor, margin: int) -> Tensor:
    """The border repeated: [B, C, h, w] -> [B, C, h + 2 * margin, w + 2 * margin].

    Not ``F.pad``: torch.compile mistakes the strides of its gradient where the channels come last.
    """
    for axis in (2, 3):
        first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
        x = torch.cat((*[first] * margin, x, *[last] * margin), axis)
    return x


def rows(x: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, h * w, C]."""
    return x.flatten(2).transpose(1, 2)


def positions(rows: int, columns: int, device: torch.device) -> Tensor:
    """[1, rows * columns, 12] of unit length: the place of each patch, so that neighbours are copied from neighbours.

    The descriptors of an even area are all alike, and every patch in it would copy the same one: a pattern of tiles.
    With these entries two patches are alike when they lie at the same place of a block of 8 x 8 patches, so a block
    is copied as a whole from wherever its content fits; the longest period favours what is near. ``iic::PatchMatch``
    moves these blocks to where they fit better, which it can only from a start that is not one patch everywhere.
    """
    parts = []
    for period, share in PERIODS:
        for axis, count in enumerate((rows, columns)):
            angle = torch.arange(count, device=device) * (2 * math.pi / period)
            wave = (share / 2) ** 0.5 * torch.stack((angle.cos(), angle.sin()), 1)  # [count, 2]
            wave = wave[:, None] if axis == 0 else wave[None]
            parts.append(wave.expand(rows, columns, 2))
    return torch.cat(parts, 2).reshape(1, rows * columns, -1)


def enlarge(low: Tensor, weights: Tensor) -> Tensor:
    """The base at high resolution: [B, C, r + 12, s + 12] -> [B, C, r * p / 4, s * p / 4].

    Args:
        low: the low-resolution result with 6 pixels of margin on every side.
        weights: [p, 16] of ``iic_rt.resampling.base_weights``.
    """
    taps, p = weights.shape[1], weights.shape[0]
    for axis in (2, 3):
        groups = (low.shape[axis] - taps) // PATCH + 1
        slices = [low.narrow(axis, k, PATCH * (groups - 1) + 1) for k in range(taps)]
        every = [s[:, :, ::PATCH] if axis == 2 else s[:, :, :, ::PATCH] for s in slices]
        mixed = torch.stack(every, axis + 1)  # [..., groups, taps, ...]
        moved = torch.tensordot(mixed, weights.to(low.dtype), dims=([axis + 1], [1]))  # taps gone, p last
        low = moved.movedim(-1, axis + 1).flatten(axis, axis + 1)
    assert low.shape[-1] % p == 0
    return low


def patch_rows(detail: Tensor, p: int, margin: int) -> Tensor:
    """Patches with a margin: [B, C, h, w] -> [B, N, C * (p + 2 * margin)^2], row by row, channels first in a row.

    ``margin`` is at most p / 2; at the picture's border the last pixel is repeated.
    """
    side = p + 2 * margin
    x = extended(detail, margin)
    for axis in (2, 4):  # [B, C, h, w] -> [B, C, rows, side, w] -> [B, C, rows, side, columns, side]
        groups = (x.shape[axis] - 2 * margin) // p
        own = x.narrow(axis, 0, groups * p).unflatten(axis, (groups, p))
        after = x.narrow(axis, 2 * margin, groups * p).unflatten(axis, (groups, p))
        x = torch.cat((own, after.narrow(axis + 1, p - 2 * margin, 2 * margin)), axis + 1)
    b, c, down, _, across, _ = x.shape
    return x.permute(0, 2, 4, 1, 3, 5).reshape(b, down * across, c * side * side)


def unpatch_rows(rows: Tensor, replaced: Tensor, p: int, margin: int, columns: int) -> Tensor:
    """Patches back to a map, blended linearly where the margins of neighbours overlap: the inverse of `patch_rows`.

    Only patches with ``replaced`` [B, N] of 1 take part: the margin of a known patch is unknown where it reaches into a
    hole. A pixel that none of them reaches is 0.
    """
    b, n, d = rows.shape
    side = p + 2 * margin
    c = d // side**2
    ramp = (torch.arange(2 * margin, device=rows.device, dtype=rows.dtype) + 0.5) / (2 * margin)
    tent = torch.cat((ramp, torch.ones(p - 2 * margin, device=rows.device, dtype=rows.dtype), ramp.flip(0)))
    flags = replaced.reshape(b, n // columns, columns, 1, 1, 1)
    x = rows.reshape(b, n // columns, columns, c, side, side) * flags
    # One more channel tells the weight each pixel gets in all: less than 1 where a patch has no neighbour that counts.
    x = torch.cat((x, flags.expand(-1, -1, -1, 1, side, side)), 3).permute(0, 3, 1, 4, 2, 5)
    for axis in (4, 2):
        x = x * tent.reshape((-1,) + (1,) * (x.dim() - axis - 2))
        groups = x.shape[axis]
        own = x.narrow(axis + 1, 0, p).flatten(axis, axis + 1)
        over = x.narrow(axis + 1, p, 2 * margin)  # belongs to the next group's first pixels
        pads = [0, 0] * (x.dim() - axis - 2) + [0, p - 2 * margin]
        over = F.pad(over, pads).flatten(axis, axis + 1)
        before = [0, 0] * (over.dim() - axis - 1)
        x = F.pad(own, [*before, 0, 2 * margin]) + F.pad(over, [*before, p, 0]).narrow(axis, 0, groups * p + 2 * margin)
        x = x.narrow(axis, margin, groups * p)
    return x[:, :-1] / x[:, -1:].clamp_min(SMALLEST_WEIGHT)


class Replaced(NamedTuple):
    """What the upsampler gives the training."""

    image: Tensor  # [B, 3, H, W], about [-1, 1]
    share: Tensor  # [B, N, N]: row i says how much of patch i comes from each valid patch


class GuidedUpsampler(nn.Module):
    """Low-resolution result and high-resolution picture -> high-resolution result, for training.

    ``forward(x, m, y, low_m)``: x [B, 3, H, W] in [-1, 1], read where known; m [B, 1, H, W] in {0, 1}, unknown pixels;
    y [B, 3, s, s], the loop's result; low_m [B, 1, s, s], its hole at the start. H / s is the factor, 1 or more, and
    H / s * 4 is whole. The export takes the parts; at inference ``iic::PatchSearch``, ``iic::PatchMatch`` and
    ``iic::PatchReplace`` stand where this has a softmax.
    """

    weights: Tensor
    scale: Tensor  # of the softmax: fixed while training, chosen by measurement at release

    def __init__(self, scale: float = 60.0) -> None:
        super().__init__()
        self.similarity = SimilarityNetwork()
        self.register_buffer("scale", torch.tensor(scale))
        # Beside the network: a copy from the host would wait for a GPU in every step.
        self.register_buffer("weights", torch.from_numpy(base_weights(FACTOR)), persistent=False)

    def forward(self, x: Tensor, m: Tensor, y: Tensor, low_m: Tensor) -> Replaced:
        factor = x.shape[2] / y.shape[2]
        weights = self.weights if factor == FACTOR else torch.from_numpy(base_weights(factor)).to(x.device)
        p, columns = weights.shape[0], y.shape[3] // PATCH
        base = enlarge(F.pad(y.float(), (BASE_REACH,) * 4, mode="replicate"), weights)
        detail = (x - base) * (1 - m)
        q = self.similarity(y, low_m)
        unknown = F.avg_pool2d(m, p).flatten(1)  # [B, N]
        whole = (unknown == 0).float()
        few = (whole.mean(1, keepdim=True) < FEW).float()
        weight = torch.where(whole > 0, whole, (1 - unknown) * few)
        logits = self.scale * torch.bmm(q, q.transpose(1, 2)) + weight.log()[:, None]
        share = logits.softmax(2)
        margin = margin_of(p)
        own = patch_rows(detail, p, margin)
        replaced = (unknown > 0).float()
        blended = unpatch_rows(torch.bmm(share, own), replaced, p, margin, columns)
        return Replaced(base + torch.where(m > 0, blended, detail), share)
