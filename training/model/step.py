"""One iteration of Algorithm 1 in torch, shared by the training loop and the exported ``step`` graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["SURER", "Step", "update"]

SURER = 1 / 64  # as in iic_rt/reference/algorithm.py, which says why


def update(y: Tensor, m: Tensor, c: Tensor, g: Tensor, conf: Tensor, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Keeps the pixels of which the network has become surer: lines 3 to 10 of Algorithm 1.

    After the first iteration the confidence has to grow by more than ``SURER``.

    Args:
        y: [B, 3, H, W], the completed image so far; in the first iteration only its known pixels count.
        m: [B, 1, H, W] in {0, 1}, the hole of this iteration.
        c: [B, 1, H, W] in [0, 1], the confidence so far; unused in the first iteration.
        g: [B, 3, H, W], the network's image.
        conf: [B, 1, H, W], the network's confidence.
        first: [1], 1 in the first iteration, otherwise 0.

    Returns:
        y, m and c for the next iteration, shapes as above. Outside the hole c is carried on (1 where the picture was
        known): there the paper's c is 0 and never read, and so the last c tells the confidence of every pixel.
    """
    hole = m > 0
    c_before = torch.where(first > 0, 1 - 0.5 * m, c)
    c_now = torch.where(hole, conf, c_before)
    updated = hole & (c_now - c_before > SURER * (1 - first))
    fill = hole & (updated | (first > 0))
    return torch.where(fill, g, y), m - updated.to(m.dtype), c_now


class Step(nn.Module):
    """The network and the mask update: ``(y, m, c, first) -> (y, m, c)``, shapes as in :func:`update`."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, y: Tensor, m: Tensor, c: Tensor, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        g, conf, _coarse = self.generator(y * (1 - m), m)
        return update(y, m, c, g, conf, first)
