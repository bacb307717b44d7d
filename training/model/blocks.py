"""Layers of the generator and the discriminator. All tensors are [B, C, H, W]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["GatedConv", "ResidualGatedConv", "ShuffleUp", "fill_residual"]


class GatedConv(nn.Module):
    """Gated convolution: ``relu(feature(x)) * sigmoid(gate(x))`` (Yu et al. 2019, free-form inpainting).

    The gate is a 1x1 convolution where the resolution stays the same: it halves the cost of the layer, and the
    neighbourhood a gate needs is already in the features of the layer before it.

    Shapes: [B, in_channels, H, W] -> [B, out_channels, H / stride, W / stride].
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.feature = nn.Conv2d(in_channels, out_channels, 3, stride, dilation, dilation)
        gate_kernel = 1 if stride == 1 else 3  # a strided 1x1 would see one pixel in four
        self.gate = nn.Conv2d(in_channels, out_channels, gate_kernel, stride, gate_kernel // 2)
        nn.init.kaiming_normal_(self.feature.weight, nonlinearity="relu")
        nn.init.zeros_(self.feature.bias)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.feature(x)) * torch.sigmoid(self.gate(x))


class ResidualGatedConv(nn.Module):
    """``x + GatedConv(x)`` at one resolution; dilation widens what the layer sees without a cost in MACs."""

    def __init__(self, channels: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.conv = GatedConv(channels, channels, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class ShuffleUp(nn.Module):
    """Twice the resolution by a convolution and a pixel shuffle: [B, C, H, W] -> [B, out_channels, 2H, 2W].

    The four sub-pixels start from equal weights, so that the untrained layer is a nearest-neighbour enlargement and
    no checkerboard has to be unlearned (Aitken et al. 2017).
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, kernel, padding=kernel // 2)
        with torch.no_grad():
            self.conv.weight.copy_(self.conv.weight[::4].repeat_interleave(4, 0))
            self.conv.bias.copy_(self.conv.bias[::4].repeat_interleave(4, 0))

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


RESIDUAL_LEVELS = 4  # 1/1 to 1/8: beyond two cells of 1/8 from the border the network is on its own
RESIDUAL_DAMPING = 0.003  # share of known pixels under which a level leaves the word to the coarser one


def fill_residual(residual: Tensor, known: Tensor) -> Tensor:
    """Carries what the network gets wrong at the known pixels beside a hole smoothly into the hole.

    A push-pull pyramid (Gortler et al. 1996, Lumigraph): means over the known pixels at each level, the finer level
    where it has any, the coarser one elsewhere. It has no weights. Added to the network's image it takes away casts on
    even areas and the seam at the border.

    Args:
        residual: [B, 3, H, W], truth minus network; only its known pixels count. H and W are multiples of 8.
        known: [B, 1, H, W] in {0, 1}.

    Returns:
        [B, 3, H, W]: the residual at the known pixels, nearly, its continuation in the hole, 0 far inside.
    """
    pyramid = [torch.cat((residual * known, known), 1)]
    for _ in range(RESIDUAL_LEVELS - 1):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    filled = torch.zeros_like(pyramid[-1][:, :3])
    for i, level in enumerate(reversed(pyramid)):
        if i > 0:
            filled = F.interpolate(filled, scale_factor=2.0, mode="bilinear")
        near = F.avg_pool2d(level, 3, 1, 1)
        filled = (near[:, :3] + RESIDUAL_DAMPING * filled) / (near[:, 3:] + RESIDUAL_DAMPING)
    return filled
