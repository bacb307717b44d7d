"""The losses of the paper, Eq. 1 to 3. Images are in [-1, 1]; norms are means, so no weight depends on the size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.model.perceptual import TAPS, PerceptualNetwork

__all__ = [
    "PerceptualLoss",
    "confidence_loss",
    "discriminator_loss",
    "feature_distance",
    "generator_hinge",
    "hole_mean",
    "luminance",
    "match_loss",
    "patch_shapes",
    "patch_textures",
    "reconstruction_loss",
]

MIN_HOLE = 0.02  # share of the picture below which a hole's mean is damped: a few pixels must not rule a batch


def hole_mean(values: Tensor, m: Tensor) -> Tensor:
    """Mean over the hole of each picture, then over the batch.

    Per picture, because hole PSNR is per picture; a mean over the whole batch would count large holes more.

    Args:
        values: [B, 1, H, W].
        m: [B, 1, H, W] in {0, 1}.
    """
    area = m.sum((1, 2, 3)).clamp_min(MIN_HOLE * m[0].numel())
    return ((values * m).sum((1, 2, 3)) / area).mean()


def reconstruction_loss(y: Tensor, x: Tensor, m: Tensor, *, l2_weight: float, known_weight: float) -> Tensor:
    """The L1 part of Eq. 2, the hole and the known pixels weighted apart.

    Args:
        y: [B, 3, H, W], the network's image.
        x: [B, 3, H, W], the truth.
        m: [B, 1, H, W], the hole.
        l2_weight: weight of a squared term beside L1. L1 alone aims at the median; PSNR asks for the mean.
        known_weight: weight of the known pixels, which are pasted over and only need to meet the hole's border.
    """
    difference = y - x
    error = (difference.abs() + l2_weight * difference.square()).mean(1, keepdim=True)
    return hole_mean(error, m) + known_weight * (error * (1 - m)).mean()


def confidence_loss(y: Tensor, x: Tensor, c: Tensor, m: Tensor, *, lambda_: float, l2_weight: float) -> Tensor:
    """Eq. 3 without its adversarial part: ``L(y*c + x*(1-c)) + lambda * (|(1-c)*m|_1 + |(1-c)*m|_2)``.

    ``y`` is taken as given, so the decoder learns to read the image and not to bend it. The second norm is taken
    squared: each pixel then decides for itself; without ``l2_weight``, c = 1 up to an error of lambda, 1/2 at
    2 lambda, 0 from 3 lambda.

    Args:
        y: [B, 3, H, W], the network's image.
        x: [B, 3, H, W], the truth.
        c: [B, 1, H, W] in [0, 1], the confidence.
        m: [B, 1, H, W], the hole.
        lambda_: how large the confident area is to be; 0.1 in the paper.
        l2_weight: weight of the squared term of L, as in :func:`reconstruction_loss`.
    """
    difference = y.detach() * c + x * (1 - c) - x
    error = (difference.abs() + l2_weight * difference.square()).mean(1, keepdim=True)
    doubt = 1 - c
    return hole_mean(error + lambda_ * (doubt + doubt.square()), m)


def generator_hinge(score: Tensor) -> Tensor:
    """The adversarial part of Eq. 2 and 3: ``ReLU(1 - D(.))`` over the score map [B, 1, h, w]."""
    return F.relu(1 - score).mean()


def discriminator_loss(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """Eq. 1: hinge over the score maps [B, 1, h, w] of photographs and of inpainted pictures."""
    return F.relu(1 - real_score).mean() + F.relu(1 + fake_score).mean()


def patch_textures(x: Tensor, p: int) -> Tensor:
    """What the texture of each patch is like, whatever its phase.

    Square roots of the mean absolute luminance gradients in four directions at two scales, in the patch and in the
    3 x 3 patches around it.

    Args:
        x: [B, 3, H, W] in [-1, 1]; H and W are multiples of p.
        p: even side of a patch in pixels.

    Returns:
        [B, N, 16], patches row by row.
    """
    grey = luminance(x)
    amplitudes = []
    for scale in (1, 2):
        level = F.avg_pool2d(grey, scale) if scale > 1 else grey
        padded = F.pad(level, (1, 1, 1, 1), mode="replicate")
        h, w = level.shape[2:]
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            shifted = padded[:, :, 1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]
            amplitudes.append(F.avg_pool2d((shifted - level).abs(), p // scale))
    near = torch.cat(amplitudes, 1)
    wide = F.avg_pool2d(F.pad(near, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return torch.cat(((near + 1e-4).sqrt(), (wide + 1e-4).sqrt()), 1).flatten(2).transpose(1, 2)


COLOUR_WEIGHT, SHAPE_WEIGHT = 0.5, 0.6


def patch_shapes(y: Tensor, p: int) -> Tensor:
    """What a patch of the low-resolution result looks like: mean colour, and luminance around its mean.

    Detail is copied onto what the loop has painted. Where the two do not belong together it looks like an embossment,
    so a patch should come from where the picture is alike at low resolution too.

    Args:
        y: [B, 3, s, s] in [-1, 1].
        p: side of a patch in pixels.

    Returns:
        [B, N, 3 + p * p].
    """
    grey = luminance(y)
    around = F.pixel_unshuffle(grey, p) - F.avg_pool2d(grey, p)
    parts = COLOUR_WEIGHT * F.avg_pool2d(y, p), SHAPE_WEIGHT * around
    return torch.cat(parts, 1).flatten(2).transpose(1, 2)


def luminance(x: Tensor) -> Tensor:
    """[B, 3, H, W] -> [B, 1, H, W]."""
    # Filled and not copied from the host, for which a GPU would be waited for.
    weights = torch.stack([torch.full((1, 1), weight, device=x.device) for weight in (0.299, 0.587, 0.114)])
    return (x * weights).sum(1, keepdim=True)


def match_loss(share: Tensor, looks: Tensor, weight: Tensor) -> Tensor:
    """Mean over the hole's patches of the squared distance to the patches copied, *expected* under the softmax.

    The expectation of the distance and not the distance of the expectation: a mixture of patches gains nothing over
    the best of them, so the softmax learns to choose and the result stays sharp. L1 on the picture would teach the
    opposite, since the mean of wrong details is nearer to the truth than any of them.

    Args:
        share: [B, N, N], rows sum to 1.
        looks: [B, N, K], textures of the truth and shapes of the low-resolution result.
        weight: [B, N], how much of each patch is hole.
    """
    square = looks.square().sum(2, keepdim=True)
    mean = torch.bmm(share, torch.cat((looks, square), 2))
    distance = square[..., 0] + mean[..., -1] - 2 * (looks * mean[..., :-1]).sum(2)
    return (distance * weight).sum() / weight.sum().clamp_min(1)


SCALES = (0.7, 1.25)  # each call looks at another scale and place: a pattern that one grid overlooks meets the next
LARGEST_SHIFT = 8  # pixels


class PerceptualLoss(nn.Module):
    """LPIPS-like distance in the hole (Zhang et al. 2018).

    ``forward(y, x, m)``: result y and truth x [B, 3, H, W] in [-1, 1], hole m [B, 1, H, W] in {0, 1}; returns the
    squared distance of unit feature vectors, averaged over the cells that a hole touches, weighted by how much of a
    cell is hole; the mean over the taps and over the batch.

    Args:
        taps: feature maps that count, of ``training.model.perceptual.TAPS``.
    """

    def __init__(self, taps: tuple[str, ...] = TAPS[:4]) -> None:
        super().__init__()
        self.network = PerceptualNetwork(taps)

    def forward(self, y: Tensor, x: Tensor, m: Tensor) -> Tensor:
        scale = float(torch.empty(()).uniform_(*SCALES))
        top, left = (int(n) for n in torch.randint(LARGEST_SHIFT, (2,)))
        joined = torch.cat((y, x, m), 1)[:, :, top:, left:]
        joined = F.interpolate(joined, scale_factor=scale, mode="bilinear", antialias=scale < 1)
        y, x, m = joined.split((3, 3, 1), 1)
        with torch.no_grad():
            wanted = self.network(x)
        distances = [feature_distance(found, truth, m) for found, truth in zip(self.network(y), wanted, strict=True)]
        return torch.stack(distances).mean()


def feature_distance(found: Tensor, truth: Tensor, m: Tensor) -> Tensor:
    """Squared distance of unit feature vectors [B, C, h, w], the mean over the cells of the hole m [B, 1, H, W]."""
    found, truth = found.float(), truth.float()
    distance = (F.normalize(found, dim=1) - F.normalize(truth, dim=1)).square().sum(1, keepdim=True)
    share = F.adaptive_avg_pool2d(m, distance.shape[2:])
    return (distance * share).sum() / share.sum().clamp_min(1e-3)
