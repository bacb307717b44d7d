"""The generator's size, shapes and wiring; the discriminator; one step of Algorithm 1 in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from iic_rt.reference import iterate
from training.losses import confidence_loss
from training.model.blocks import GatedConv, ShuffleUp, fill_residual
from training.model.discriminator import PatchDiscriminator
from training.model.network import PRESETS, Generator, count_macs
from training.model.step import Step


@pytest.fixture(scope="module")
def edge() -> Generator:
    torch.manual_seed(1)
    return Generator(PRESETS["edge"])


def inputs(height: int, width: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    m = (torch.rand(batch, 1, height, width) < 0.3).float()
    return (torch.rand(batch, 3, height, width) * 2 - 1) * (1 - m), m


def test_budgets() -> None:
    edge, base = Generator(PRESETS["edge"]), Generator(PRESETS["base"])
    planes = torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    assert count_macs(edge, *planes) <= 2.5e9
    assert 25e9 <= count_macs(base, *planes) <= 45e9
    assert 2 * sum(p.numel() for p in edge.parameters()) <= 6 * 2**20  # bytes of the FP16 file


def test_count_macs_by_hand() -> None:
    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, z: Tensor, _m: Tensor) -> Tensor:
            return self.conv(z)

    assert count_macs(One(), torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)) == 3 * 8 * 9 * 16 * 16


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 40), (8, 136)])
def test_shapes_and_ranges(edge: Generator, height: int, width: int) -> None:
    g, c, coarse = edge(*inputs(height, width))
    assert g.shape == coarse.shape == (2, 3, height, width)
    assert c.shape == (2, 1, height, width)
    assert 0 < c.min() <= c.max() < 1


def test_the_gradient_reaches_every_part_through_the_confidence(edge: Generator) -> None:
    z, m = inputs(64, 64)
    g, c, _ = edge(z, m)
    edge.zero_grad()
    confidence_loss(g, z, c, m, lambda_=0.1, l2_weight=1.0).backward()
    for name, parameter in edge.named_parameters():
        part = name.split(".")[0]
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached == (part != "fine_decoder"), name  # every layer but those of the image decoder behind


def test_the_hole_sees_far(edge: Generator) -> None:
    z = torch.zeros(1, 3, 256, 256, requires_grad=True)
    m = torch.ones(1, 1, 256, 256)
    g, _, _ = edge(z, m)
    g[0, :, 128, 128].sum().backward()
    assert z.grad is not None
    seen = z.grad.abs().sum((0, 1)) > 0
    assert seen[:, 128].sum() > 200
    assert seen[128].sum() > 200


def test_gated_convolution_by_hand() -> None:
    layer = GatedConv(1, 1)
    with torch.no_grad():
        layer.feature.weight.zero_()
        layer.feature.weight[0, 0, 1, 1] = 2
        layer.gate.weight.fill_(1)
    x = torch.tensor([[-1.0, 0, 3]]).reshape(1, 1, 1, 3)
    expected = [0, 0, 6 * torch.sigmoid(torch.tensor(3.0)).item()]
    assert layer(x).flatten().tolist() == pytest.approx(expected)


def test_an_untrained_enlargement_has_no_checkerboard() -> None:
    y = ShuffleUp(4, 2)(torch.rand(1, 4, 5, 6))
    assert y.shape == (1, 2, 10, 12)
    torch.testing.assert_close(y[..., ::2, ::2], y[..., 1::2, 1::2])


def test_discriminator_is_a_map_with_unit_spectral_norms() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(8)
    for _ in range(30):  # the power iteration moves one step a pass
        assert discriminator(torch.rand(2, 3, 64, 48)).shape == (2, 1, 4, 3)
    discriminator.eval()
    for layer in discriminator.layers:
        if isinstance(layer, torch.nn.Conv2d):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.1)


def test_step_equals_the_reference_bit_for_bit(edge: Generator) -> None:
    z, m = inputs(32, 48, batch=1)
    y = torch.where(m > 0, torch.rand_like(z), z)

    def network(z: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        g, conf, _ = edge(torch.from_numpy(z), torch.from_numpy(m))
        return g.numpy(), conf.numpy()

    state = y, m, torch.full_like(m, float("nan"))  # c is not read in the first iteration
    with torch.no_grad():
        for t, expected in enumerate(iterate(network, y.numpy(), m.numpy(), 6)):
            state = Step(edge)(*state, torch.full((1,), float(t == 0)))
            for mine, theirs in zip(state, expected, strict=True):
                np.testing.assert_array_equal(mine.numpy(), theirs)


def test_fill_residual_by_hand() -> None:
    """A constant error beside the hole is carried in, fades out far inside, and the hole's own values do not count."""
    known = torch.ones(1, 1, 96, 96)
    known[..., 8:88, 8:88] = 0
    residual = torch.full((1, 3, 96, 96), 0.25)
    residual[..., 8:88, 8:88] = 99
    filled = fill_residual(residual, known)
    assert filled[..., :8, :].sub(0.25).abs().max() < 5e-3
    assert filled[..., 8:10, 20:70].sub(0.25).abs().max() < 5e-3
    assert filled[..., 48, 48].abs().max() < 1e-6
    assert filled.max() <= 0.25


def test_fill_residual_with_nothing_known_or_nothing_missing() -> None:
    residual = torch.rand(1, 3, 32, 40)
    assert not fill_residual(residual, torch.zeros(1, 1, 32, 40)).any()
    even = torch.full((1, 3, 32, 40), -0.5)
    torch.testing.assert_close(fill_residual(even, torch.ones(1, 1, 32, 40)), even, rtol=0, atol=5e-3)
