"""The ProFill generator: a coarse and a fine network, with an image and a confidence decoder (paper, Sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.model.blocks import GatedConv, ResidualGatedConv, ShuffleUp, fill_residual

__all__ = ["PRESETS", "Generator", "GeneratorConfig", "count_macs"]

STEM_FACTOR = 4  # space-to-depth of the input: layers at full resolution cost more in memory traffic than in MACs
SIZE_MULTIPLE = 8  # height and width the generator accepts are multiples of this


@dataclass(frozen=True)
class GeneratorConfig:
    """Widths at 1/4 and 1/8 of the input resolution, and the dilations of the layers at 1/8."""

    coarse_channels: tuple[int, int]
    fine_channels: tuple[int, int]
    coarse_dilations: tuple[int, ...]
    fine_dilations: tuple[int, ...]
    detail_channels: int  # width at 1/2 resolution, in front of the last shuffle
    confidence_channels: int


PRESETS = {
    "edge": GeneratorConfig((48, 96), (64, 128), (1, 2, 4, 8), (1, 2, 4, 8), 16, 64),
    "base": GeneratorConfig((160, 320), (224, 448), (1, 2, 4, 8, 1, 2), (1, 2, 4, 8, 1, 2, 4), 48, 128),
}


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


class ConfidenceDecoder(nn.Module):
    """All encoder layers -> confidence [B, 1, H, W] in (0, 1)."""

    def __init__(self, channels: tuple[int, int], layers: int, width: int) -> None:
        super().__init__()
        quarter, eighth = channels
        self.squeeze = nn.Conv2d(layers * eighth, width, 1)
        self.merge = nn.Conv2d(width, width, 3, padding=1)
        self.up = ShuffleUp(width, width // 2)
        self.skip = nn.Conv2d(quarter, width // 2, 1)
        self.detail = ShuffleUp(width // 2, width // 8, kernel=3)
        self.to_logit = ShuffleUp(width // 8, 1, kernel=3)

    def forward(self, layers: list[Tensor]) -> Tensor:
        x = F.relu(self.squeeze(torch.cat(layers[1:], 1)))
        x = self.up(F.relu(self.merge(x))) + self.skip(layers[0])
        # In float32 whatever the rest is in: in FP16 a sure pixel could hardly become surer, its sigmoid is near 1.
        return torch.sigmoid(self.to_logit(F.relu(self.detail(F.relu(x)))).float())


class Generator(nn.Module):
    """Fills the hole and says how sure it is of every pixel.

    ``forward(z, m)``:

    ========  ==============  =======  =============================================================
    name      shape           range    meaning
    ========  ==============  =======  =============================================================
    z         [B, 3, H, W]    [-1, 1]  image with the hole zeroed; H and W are multiples of 8
    m         [B, 1, H, W]    {0, 1}   hole mask, 1 = hole
    returns:
    g         [B, 3, H, W]    ~[-1, 1] the fine network's image
    c         [B, 1, H, W]    (0, 1)   confidence
    coarse    [B, 3, H, W]    ~[-1, 1] the coarse network's image
    ========  ==============  =======  =============================================================
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse_encoder = Encoder(4, config.coarse_channels, config.coarse_dilations)
        self.coarse_decoder = ImageDecoder(config.coarse_channels, config.detail_channels)
        self.fine_encoder = Encoder(4, config.fine_channels, config.fine_dilations)
        self.fine_decoder = ImageDecoder(config.fine_channels, config.detail_channels)
        self.confidence_decoder = ConfidenceDecoder(
            config.fine_channels, 1 + len(config.fine_dilations), config.confidence_channels
        )

    def forward(self, z: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layers = self.coarse_encoder(torch.cat((z, m), 1))
        coarse = self.coarse_decoder(layers[-1], layers[0])
        layers = self.fine_encoder(torch.cat((z + coarse * m, m), 1))
        g = self.fine_decoder(layers[-1], layers[0])
        g = g + fill_residual(z - g, 1 - m)
        return g, self.confidence_decoder(layers), coarse


def count_macs(model: nn.Module, *inputs: Tensor) -> int:
    """Multiply-accumulates of all convolutions in ``model(*inputs)``; activations and gating are not counted."""
    total = 0

    def add(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        kernel = layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]
        total += kernel * output[0].numel()

    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        model(*inputs)
    for hook in hooks:
        hook.remove()
    return total
