"""The ProFill generator: a coarse and a fine network, with an image and a confidence decoder (paper, Sec. 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from training.model.blocks import AttentionBlock, GatedConv, ResidualGatedConv, ShuffleUp, enlarge_twice, prefill

__all__ = ["PRESETS", "Generator", "GeneratorConfig", "count_macs"]

STEM_FACTOR = 4  # space-to-depth of the input: layers at full resolution cost more in memory traffic than in MACs
SIZE_MULTIPLE = 16  # height and width the generator accepts are multiples of this


@dataclass(frozen=True)
class EncoderConfig:
    """Widths at 1/4, 1/8 and 1/16 of the input resolution, and the layers at the last two."""

    channels: tuple[int, int, int]
    dilations: tuple[int, ...]  # of the convolutions at 1/8
    attention_blocks: int  # over the whole map at 1/16
    gated: bool = True


@dataclass(frozen=True)
class GeneratorConfig:
    """The coarse and the fine encoder, and the widths of the decoders."""

    coarse: EncoderConfig | None  # None: a network of one stage
    fine: EncoderConfig
    detail_channels: int  # width at 1/2 resolution, in front of the last shuffle
    confidence_channels: int
    head_channels: int
    prefill: bool = True  # fill the hole smoothly first, and let both networks predict what is missing


PRESETS = {
    "edge": GeneratorConfig(
        coarse=EncoderConfig((48, 96, 160), (1, 2), 2),
        fine=EncoderConfig((64, 128, 192), (1, 2), 3),
        detail_channels=16,
        confidence_channels=64,
        head_channels=32,
    ),
    "base": GeneratorConfig(
        coarse=EncoderConfig((160, 320, 480), (1, 2, 4), 3),
        fine=EncoderConfig((224, 448, 672), (1, 2, 4), 5),
        detail_channels=48,
        confidence_channels=128,
        head_channels=32,
    ),
}


def _with(name: str, **changes: object) -> GeneratorConfig:
    """The preset with parts of both encoders changed."""
    preset = PRESETS[name]
    assert preset.coarse is not None
    return replace(preset, coarse=replace(preset.coarse, **changes), fine=replace(preset.fine, **changes))


# What each part is worth: compared in the model card, never released.
PRESETS |= {
    "edge-no-prefill": replace(PRESETS["edge"], prefill=False),
    "edge-no-attention": _with("edge", dilations=(1, 2, 4, 8), attention_blocks=0),
}
PRESETS["edge-plain"] = replace(PRESETS["edge-no-attention"], prefill=False)
# Deeper where it costs least: what a long training on a GPU may begin from the weights of `edge`.
PRESETS["edge-deep"] = _with("edge", attention_blocks=5)
# Like the networks before the paper, for benchmarks.paper: gated convolutions in two stages (Yu et al. 2019), and plain
# ones in one stage, widely dilated (Iizuka et al. 2017).
PRESETS["gated-like"] = PRESETS["edge-plain"]
PRESETS["global-local-like"] = replace(
    PRESETS["edge-plain"], coarse=None, fine=EncoderConfig((80, 160, 0), (1, 2, 4, 8, 16), 0, gated=False)
)


class Encoder(nn.Module):
    """z and the hole -> every feature layer up to the bottleneck: the stem's at 1/4, then those at 1/8.

    ``forward(x, known)``: x [B, 4, H, W]; known [B, 1, H, W] in {0, 1}.
    """

    def __init__(self, in_channels: int, config: EncoderConfig, head_channels: int) -> None:
        super().__init__()
        quarter, eighth, sixteenth = config.channels
        self.stem = GatedConv(in_channels * STEM_FACTOR**2, quarter, gated=config.gated)
        # pixel_unshuffle as a one-hot convolution: exactly the same values, and engines run it without a transpose.
        cell = torch.eye(STEM_FACTOR**2).reshape(-1, 1, STEM_FACTOR, STEM_FACTOR)
        kernel = torch.zeros(in_channels, STEM_FACTOR**2, in_channels, STEM_FACTOR, STEM_FACTOR)
        for channel in range(in_channels):
            kernel[channel, :, channel] = cell[:, 0]
        self.register_buffer("unshuffle", kernel.flatten(0, 1), persistent=False)

        self.down = GatedConv(quarter, eighth, stride=2, gated=config.gated)
        self.context = nn.ModuleList(
            ResidualGatedConv(eighth, dilation=d, gated=config.gated) for d in config.dilations
        )
        if config.attention_blocks:
            self.down_again = GatedConv(eighth, sixteenth, stride=2, gated=config.gated)
            self.deep = nn.ModuleList(
                AttentionBlock(sixteenth, head_channels=head_channels) for _ in range(config.attention_blocks)
            )
            self.up = nn.Conv2d(sixteenth, eighth, 1)
        self.layers_at_eighth = 1 + len(config.dilations) + bool(config.attention_blocks)

    def forward(self, x: Tensor, known: Tensor) -> list[Tensor]:
        layers = [self.stem(F.conv2d(x, self.unshuffle, stride=STEM_FACTOR))]
        layers.append(self.down(layers[0]))
        for layer in self.context:
            layers.append(layer(layers[-1]))
        if hasattr(self, "deep"):
            deep, known_deep = self.down_again(layers[-1]), F.avg_pool2d(known, 16)
            for block in self.deep:
                deep = block(deep, known_deep)
            layers.append(layers[-1] + enlarge_twice(self.up(deep)))
        return layers


class ImageDecoder(nn.Module):
    """Bottleneck [B, C8, H/8, W/8] and the skip [B, C4, H/4, W/4] -> image [B, 3, H, W], about [-1, 1]."""

    def __init__(self, config: EncoderConfig, detail_channels: int) -> None:
        super().__init__()
        quarter, eighth, _sixteenth = config.channels
        self.squeeze = nn.Conv2d(eighth, quarter, 1)
        self.merge = GatedConv(quarter, quarter, gated=config.gated)
        self.detail = nn.Conv2d(quarter, detail_channels, 3, padding=1)
        self.to_rgb = ShuffleUp(detail_channels, 3, kernel=3)

    def forward(self, bottleneck: Tensor, skip: Tensor) -> Tensor:
        x = self.merge(enlarge_twice(self.squeeze(bottleneck)) + skip)
        # Leaky: at first nothing is better than any residual, and ReLUs would die of it, all 16 within 100 steps.
        return self.to_rgb(F.leaky_relu(self.detail(enlarge_twice(x)), 0.1))


class ConfidenceDecoder(nn.Module):
    """All encoder layers -> confidence [B, 1, H, W] in (0, 1)."""

    def __init__(self, channels: tuple[int, int, int], layers: int, width: int) -> None:
        super().__init__()
        quarter, eighth, _sixteenth = channels
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
    z         [B, 3, H, W]    [-1, 1]  image with the hole zeroed; H and W are multiples of 16
    m         [B, 1, H, W]    {0, 1}   hole mask, 1 = hole
    returns:
    g         [B, 3, H, W]    ~[-1, 1] the fine network's image
    c         [B, 1, H, W]    (0, 1)   confidence
    coarse    [B, 3, H, W]    ~[-1, 1] the coarse network's image; without one, what the fine network begins with
    ========  ==============  =======  =============================================================
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        coarse, fine = config.coarse, config.fine
        if coarse is not None:
            self.coarse_encoder = Encoder(4, coarse, config.head_channels)
            self.coarse_decoder = ImageDecoder(coarse, config.detail_channels)
        self.fine_encoder = Encoder(4, fine, config.head_channels)
        self.fine_decoder = ImageDecoder(fine, config.detail_channels)
        self.confidence_decoder = ConfidenceDecoder(
            fine.channels, self.fine_encoder.layers_at_eighth, config.confidence_channels
        )

    def forward(self, z: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        known = 1 - m
        start = z + prefill(z, known) * m if self.config.prefill else z
        coarse = start
        if self.config.coarse is not None:
            layers = self.coarse_encoder(torch.cat((start, m), 1), known)
            coarse = self.coarse_decoder(layers[-1], layers[0])
            if self.config.prefill:
                coarse = coarse + start
        middle = z + coarse * m
        layers = self.fine_encoder(torch.cat((middle, m), 1), known)
        g = self.fine_decoder(layers[-1], layers[0])
        if self.config.prefill:
            g = g + middle
        return g, self.confidence_decoder(layers), coarse


def count_macs(model: nn.Module, *inputs: Tensor) -> int:
    """Multiply-accumulates of all convolutions and matrix products in ``model(*inputs)``; the rest is not counted."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    return counter.get_total_flops() // 2
