"""Each loss against a case worked out by hand, and what lambda does to the confidence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.losses import (
    MIN_HOLE,
    confidence_loss,
    discriminator_loss,
    generator_hinge,
    hole_mean,
    reconstruction_loss,
)


def picture(*values: float) -> Tensor:
    """[1, 3, 1, n], the same value in each channel."""
    return torch.tensor(values).reshape(1, 1, 1, -1).repeat(1, 3, 1, 1)


def mask(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_hole_mean_is_per_picture() -> None:
    values = torch.tensor([[1.0, 1, 5, 5], [9, 3, 3, 3]]).reshape(2, 1, 1, 4)
    m = torch.tensor([[0.0, 0, 1, 1], [1, 0, 0, 0]]).reshape(2, 1, 1, 4)
    assert hole_mean(values, m) == (5 + 9) / 2


def test_hole_mean_damps_a_speck() -> None:
    m = torch.zeros(1, 1, 10, 100)
    m[0, 0, 0, 0] = 1
    assert hole_mean(torch.ones_like(m), m).item() == pytest.approx(1 / (MIN_HOLE * 1000))
    assert hole_mean(torch.ones_like(m), torch.zeros_like(m)) == 0


def test_reconstruction_by_hand() -> None:
    y, x, m = picture(0, 0.5, 1, 0), picture(0.5, 0, 0.5, -1), mask(0, 0, 1, 1)
    loss = reconstruction_loss(y, x, m, l2_weight=2.0, known_weight=0.1)
    hole = ((0.5 + 2 * 0.25) + (1 + 2 * 1)) / 2
    known = ((0.5 + 2 * 0.25) + (0.5 + 2 * 0.25)) / 4
    assert loss.item() == pytest.approx(hole + 0.1 * known)


def test_confidence_by_hand() -> None:
    y, x, m, c = picture(1, 0.5), picture(0, 0), mask(1, 1), mask(0.25, 1)
    loss = confidence_loss(y, x, c, m, lambda_=0.1, l2_weight=0.0)
    assert loss.item() == pytest.approx(((0.25 * 1 + 0.1 * (0.75 + 0.75**2)) + 0.5) / 2)


def test_the_squared_term_counts_the_mixed_picture() -> None:
    loss = confidence_loss(picture(1), picture(0), mask(0.5), mask(1), lambda_=0.0, l2_weight=2.0)
    assert loss.item() == pytest.approx(0.5 + 2 * 0.25)


def test_confidence_ignores_known_pixels() -> None:
    y, x = picture(1, 9), picture(0, 0)
    kept, other = (confidence_loss(y, x, mask(0.5, v), mask(1, 0), lambda_=0.1, l2_weight=0.0) for v in (0.0, 1.0))
    assert kept == other


def best_confidence(error: float, lambda_: float) -> float:
    """The minimum of Eq. 3 over one pixel's confidence, by trying them all."""
    grid = torch.linspace(0, 1, 1001).reshape(-1, 1, 1, 1)
    y, x = picture(error), picture(0)
    losses = torch.stack([confidence_loss(y, x, c[None], mask(1), lambda_=lambda_, l2_weight=0.0) for c in grid])
    return float(grid[losses.argmin()])


@pytest.mark.parametrize(("error", "expected"), [(0.05, 1), (0.1, 1), (0.15, 0.75), (0.2, 0.5), (0.3, 0), (0.6, 0)])
def test_where_the_confidence_settles(error: float, expected: float) -> None:
    assert best_confidence(error, 0.1) == pytest.approx(expected, abs=2e-3)


def test_lambda_at_its_ends() -> None:
    assert best_confidence(0.05, 1e-6) == 0  # nothing is trusted
    assert best_confidence(2.0, 1e6) == 1  # everything is


def test_confidence_loss_leaves_the_image_alone() -> None:
    y, c = picture(1, 0.5).requires_grad_(), mask(0.3, 0.6).requires_grad_()
    confidence_loss(y, picture(0, 0), c, mask(1, 1), lambda_=0.1, l2_weight=0.0).backward()
    assert y.grad is None
    assert c.grad is not None
    assert c.grad.abs().min() > 0


def test_hinges_by_hand() -> None:
    real, fake = mask(0.5, 2.0), mask(-3.0, 0.0)
    assert discriminator_loss(real, fake) == 0.25 + 0.5
    assert generator_hinge(fake) == (4 + 1) / 2
    assert generator_hinge(mask(1.0, 5.0)) == 0
