"""Layers of the generator and the discriminator. All tensors are [B, C, H, W]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["AttentionBlock", "GatedConv", "ResidualGatedConv", "ShuffleUp", "enlarge_twice", "prefill"]


class GatedConv(nn.Module):
    """Gated convolution: ``relu(feature(x)) * sigmoid(gate(x))`` (Yu et al. 2019, free-form inpainting).

    The gate is a 1x1 convolution where the resolution stays the same: it halves the cost of the layer, and the
    neighbourhood a gate needs is already in the features of the layer before it. ``gated=False`` leaves it out.

    Shapes: [B, in_channels, H, W] -> [B, out_channels, H / stride, W / stride].
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1, gated: bool = True
    ) -> None:
        super().__init__()
        self.feature = nn.Conv2d(in_channels, out_channels, 3, stride, dilation, dilation)
        gate_kernel = 1 if stride == 1 else 3  # a strided 1x1 would see one pixel in four
        self.gate = nn.Conv2d(in_channels, out_channels, gate_kernel, stride, gate_kernel // 2) if gated else None
        nn.init.kaiming_normal_(self.feature.weight, nonlinearity="relu")
        nn.init.zeros_(self.feature.bias)
        if self.gate is not None:
            nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        found = F.relu(self.feature(x))
        return found if self.gate is None else found * torch.sigmoid(self.gate(x))


class ResidualGatedConv(nn.Module):
    """``x + GatedConv(x)`` at one resolution; dilation widens what the layer sees without a cost in MACs."""

    def __init__(self, channels: int, *, dilation: int = 1, gated: bool = True) -> None:
        super().__init__()
        self.conv = GatedConv(channels, channels, dilation=dilation, gated=gated)

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


class ChannelNorm(nn.Module):
    """Divides each cell's channels by their root mean square (Zhang and Sennrich 2019): [B, C, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        # In float32 whatever the rest is in: squares leave the range of FP16.
        scale = torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-6)
        return x * scale.to(x.dtype) * self.gain


class AttentionBlock(nn.Module):
    """A transformer block on a feature map: attention, then a feed-forward part with a depthwise 3x3 convolution.

    ``forward(x, known)``: x [B, C, H, W]; known [B, 1, H, W] in [0, 1], the share of known pixels of each cell, by
    which a head may prefer what it copies. Both parts end in zeros, so that an untrained block changes nothing.

    Args:
        channels: C, a multiple of ``head_channels``.
        head_channels: channels of one head.
    """

    def __init__(self, channels: int, *, head_channels: int) -> None:
        super().__init__()
        self.heads = channels // head_channels
        self.attention_norm, self.forward_norm = ChannelNorm(channels), ChannelNorm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.known_bias = nn.Parameter(torch.ones(self.heads))
        self.project = nn.Conv2d(channels, channels, 1)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.near = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        for layer in (self.project, self.narrow):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        # [B, heads, c, N]: channels stay in front of the cells, as convolutions have them, so that engines transpose
        # within the products.
        q, k, v = self.qkv(self.attention_norm(x)).flatten(2).unflatten(1, (3 * self.heads, -1)).chunk(3, 1)
        preferred = self.known_bias.reshape(-1, 1, 1) * known.flatten(2).unsqueeze(2)
        logits = (q * q.shape[2] ** -0.5).transpose(2, 3) @ k + preferred
        mixed = v @ logits.softmax(-1, dtype=torch.float32).to(v.dtype).transpose(2, 3)
        x = x + self.project(mixed.reshape(x.shape))
        return x + self.narrow(F.relu(self.near(self.widen(self.forward_norm(x)))))


def enlarge_twice(x: Tensor) -> Tensor:
    """Bilinear, [B, C, H, W] -> [B, C, 2H, 2W]. A pixel shuffle in its place leaves a mesh (Odena et al. 2016)."""
    if not torch.is_grad_enabled():
        return F.interpolate(x, scale_factor=2.0, mode="bilinear")  # one operator for the engines
    # By hand where it is trained: torch.compile (2.13, CPU) loses the gradient of F.interpolate in a network of this
    # size, and everything in front of it stays as it was initialised (tests/model/test_training.py compares the
    # gradients); on a GPU that gradient is slow.
    for axis in (2, 3):
        size = x.shape[axis]
        before = torch.cat((x.narrow(axis, 0, 1), x.narrow(axis, 0, size - 1)), axis)
        after = torch.cat((x.narrow(axis, 1, size - 1), x.narrow(axis, size - 1, 1)), axis)
        halves = 0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after
        x = torch.stack(halves, axis + 1).flatten(axis, axis + 1)
    return x


HALVINGS = 4  # levels of the pyramid below full resolution: 1/2 to 1/16
DILATIONS = (1, 2, 4, 8)  # cells of 1/16 between the taps of the levels above
DAMPING = 0.003  # share of known pixels under which a level leaves the word to the wider one


def prefill(z: Tensor, known: Tensor) -> Tensor:
    """A smooth continuation of the known pixels over all of the hole; it has no weights.

    A push-pull pyramid (Gortler et al. 1996, Lumigraph): means over the known pixels at each level, the finer level
    where it has any, the wider one elsewhere, the mean of the whole picture at last. Beyond 1/16 the levels keep
    their resolution and dilate their taps, so that any height and width will do.

    Args:
        z: [B, 3, H, W], the image with the hole zeroed; H and W are multiples of 16.
        known: [B, 1, H, W] in {0, 1}.

    Returns:
        [B, 3, H, W], blurred where the image is known.
    """
    # In float32 whatever the rest is in: a single known pixel is a very small share of a picture.
    level = torch.cat((z, known), 1).float()
    pyramid = []
    for _ in range(HALVINGS):
        level = F.avg_pool2d(level, 2)
        pyramid.append(F.avg_pool2d(level, 3, 1, 1))
    mean = level.mean((2, 3), keepdim=True)
    # Computed and not copied from the host, for which a GPU would be waited for.
    side = (2 - (torch.arange(3, dtype=level.dtype, device=z.device) - 1).abs()) / 4
    tent = (side[:, None] * side).expand(4, 1, 3, 3)
    for dilation in DILATIONS:
        level = F.conv2d(level, tent, padding=dilation, dilation=dilation, groups=4)
        pyramid.append(level)
    filled = mean[:, :3] / mean[:, 3:].clamp_min(1e-7)  # not a sum: the exporter drops an addend so small
    for i, level in enumerate(reversed(pyramid)):
        if i > len(DILATIONS):
            filled = enlarge_twice(filled)
        filled = (level[:, :3] + DAMPING * filled) / (level[:, 3:] + DAMPING)
    return enlarge_twice(filled).to(z.dtype)
