"""The losses of the paper, Eq. 1 to 3. Images are in [-1, 1]; norms are means, so no weight depends on the size."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

__all__ = ["confidence_loss", "discriminator_loss", "generator_hinge", "hole_mean", "reconstruction_loss"]

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


def confidence_loss(y: Tensor, x: Tensor, c: Tensor, m: Tensor, *, lambda_: float | Tensor, l2_weight: float) -> Tensor:
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
