"""The generator of format 1, whose weights ship until a campaign of the new one has been released."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.model.blocks import GatedConv, ResidualGatedConv, ShuffleUp
from training.model.network import STEM_FACTOR, ConfidenceDecoder

__all__ = ["EDGE_1", "Generator1", "Generator1Config"]


@dataclass(frozen=True)
class Generator1Config:
    """Widths at 1/4 and 1/8 of the input resolution, and the dilations of the layers at 1/8."""

    coarse_channels: tuple[int, int]
    fine_channels: tuple[int, int]
    coarse_dilations: tuple[int, ...]
    fine_dilations: tuple[int, ...]
    detail_channels: int  # width at 1/2 resolution, in front of the last shuffle
    confidence_channels: int


EDGE_1 = Generator1Config((48, 96), (64, 128), (1, 2, 4, 8), (1, 2, 4, 8), 16, 64)

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


class Encoder(nn.Module):
    """[B, C, H, W] -> every feature layer up to the bottleneck: one at 1/4, then the ones at 1/8."""

    def __init__(self, in_channels: int, channels: tuple[int, int], dilations: tuple[int, ...]) -> None:
        super().__init__()
        quarter, eighth = channels
        self.stem = GatedConv(in_channels * STEM_FACTOR**2, quarter)
        # pixel_unshuffle as a one-hot convolution: exactly the same values, and engines run it without a transpose.
        cell = torch.eye(STEM_FACTOR**2).reshape(-1, 1, STEM_FACTOR, STEM_FACTOR)
        kernel = torch.zeros(in_channels, STEM_FACTOR**2, in_channels, STEM_FACTOR, STEM_FACTOR)
        for channel in range(in_channels):
            kernel[channel, :, channel] = cell[:, 0]
        self.register_buffer("unshuffle", kernel.flatten(0, 1), persistent=False)
        self.down = GatedConv(quarter, eighth, stride=2)
        self.context = nn.ModuleList(ResidualGatedConv(eighth, dilation=d) for d in dilations)

    def forward(self, x: Tensor) -> list[Tensor]:
        layers = [self.stem(F.conv2d(x, self.unshuffle, stride=STEM_FACTOR))]
        layers.append(self.down(layers[0]))
        for layer in self.context:
            layers.append(layer(layers[-1]))
        return layers


class ImageDecoder(nn.Module):
    """Bottleneck [B, C8, H/8, W/8] and the skip [B, C4, H/4, W/4] -> image [B, 3, H, W], about [-1, 1]."""

    def __init__(self, channels: tuple[int, int], detail_channels: int) -> None:
        super().__init__()
        quarter, eighth = channels
        self.up = ShuffleUp(eighth, quarter)
        self.merge = GatedConv(quarter, quarter)
        self.detail = ShuffleUp(quarter, detail_channels, kernel=3)
        self.to_rgb = ShuffleUp(detail_channels, 3, kernel=3)

    def forward(self, bottleneck: Tensor, skip: Tensor) -> Tensor:
        x = self.merge(self.up(bottleneck) + skip)
        return self.to_rgb(F.relu(self.detail(x)))


class Generator1(nn.Module):
    """As ``training.model.network.Generator``; height and width are multiples of 8."""

    def __init__(self, config: Generator1Config) -> None:
        super().__init__()
        self.config = config
        self.coarse_encoder = Encoder(4, config.coarse_channels, config.coarse_dilations)
        self.coarse_decoder = ImageDecoder(config.coarse_channels, config.detail_channels)
        self.fine_encoder = Encoder(4, config.fine_channels, config.fine_dilations)
        self.fine_decoder = ImageDecoder(config.fine_channels, config.detail_channels)
        self.confidence_decoder = ConfidenceDecoder(
            (*config.fine_channels, 0), 1 + len(config.fine_dilations), config.confidence_channels
        )

    def forward(self, z: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layers = self.coarse_encoder(torch.cat((z, m), 1))
        coarse = self.coarse_decoder(layers[-1], layers[0])
        layers = self.fine_encoder(torch.cat((z + coarse * m, m), 1))
        g = self.fine_decoder(layers[-1], layers[0])
        g = g + fill_residual(z - g, 1 - m)
        return g, self.confidence_decoder(layers), coarse
