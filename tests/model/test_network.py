"""The generator's size, shapes and wiring; the discriminator; one step of Algorithm 1 in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from iic_rt.reference.algorithm import iterate
from training.losses import confidence_loss
from training.model.blocks import AttentionBlock, ChannelNorm, GatedConv, ShuffleUp, enlarge_twice, prefill
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
    planes = torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    assert 25e9 <= count_macs(Generator(PRESETS["base"]), *planes) <= 45e9
    for name in ("edge", "edge-deep"):
        edge = Generator(PRESETS[name])
        assert count_macs(edge, *planes) <= 3e9
        assert 2 * sum(p.numel() for p in edge.parameters()) <= 10e6  # bytes of the FP16 file: 5 M parameters


def test_count_macs_by_hand() -> None:
    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, z: Tensor, _m: Tensor) -> Tensor:
            return self.conv(z)

    assert count_macs(One(), torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)) == 3 * 8 * 9 * 16 * 16


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 48), (16, 144)])
def test_shapes_and_ranges(edge: Generator, height: int, width: int) -> None:
    g, c, coarse = edge(*inputs(height, width))
    assert g.shape == coarse.shape == (2, 3, height, width)
    assert c.shape == (2, 1, height, width)
    assert 0 < c.min() <= c.max() < 1


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "base"])  # one class, and base is large
def test_an_untrained_preset_gives_pictures(name: str) -> None:
    g, c, coarse = Generator(PRESETS[name])(*inputs(32, 48))
    assert g.shape == coarse.shape == (2, 3, 32, 48)
    assert c.shape == (2, 1, 32, 48)


def test_the_gradient_reaches_every_part_through_the_confidence() -> None:
    edge = Generator(PRESETS["edge"])
    for layer in edge.modules():
        if isinstance(layer, AttentionBlock):  # ends in zeros before it has learnt anything
            torch.nn.init.normal_(layer.project.weight, std=0.1)
            torch.nn.init.normal_(layer.narrow.weight, std=0.1)
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


def test_an_untrained_network_starts_from_the_prefilled_picture(edge: Generator) -> None:
    z, m = inputs(64, 64)
    g, _, _ = edge(z, m)
    assert ((g - z - prefill(z, 1 - m) * m).abs().mean()) < 0.3


def test_prefill_continues_an_even_area_and_lies_between_what_it_sees() -> None:
    z = torch.full((1, 3, 96, 160), -0.4)
    known = torch.ones(1, 1, 96, 160)
    known[..., 10:90, 20:140] = 0
    filled = prefill(z * known, known)
    torch.testing.assert_close(filled, z, rtol=0, atol=1e-3)
    z[..., 80:] = 0.6
    filled = prefill(z * known, known)
    assert -0.401 <= filled.min() <= filled.max() <= 0.601
    assert filled[..., 48, 30].max() < -0.2  # near the left side
    assert filled[..., 48, 130].min() > 0.3
    across = filled[0, 0, 48, 20:140]
    assert (across.diff() > -2e-3).all()  # from one to the other, nearly without a step back


def test_prefill_with_one_known_pixel_or_none() -> None:
    z, known = torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    assert not prefill(z, known).any()
    known[..., 5, 60] = 1
    z[..., 5, 60] = 0.8
    assert prefill(z, known)[..., 60, 3].sub(0.8).abs().max() < 0.05


def attention() -> AttentionBlock:
    torch.manual_seed(3)
    block = AttentionBlock(32, head_channels=8)
    assert torch.equal(block(x := torch.rand(2, 32, 6, 10), torch.rand(2, 1, 6, 10)), x)  # untrained: changes nothing
    torch.nn.init.normal_(block.project.weight, std=0.3)
    return block


def test_attention_sees_the_whole_map() -> None:
    x = torch.rand(1, 32, 6, 10, requires_grad=True)
    # The feed-forward part ends in zeros here, so what is left is attention.
    attention()(x, torch.zeros(1, 1, 6, 10))[0, :, 2, 7].sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(1) > 0).all()


def test_attention_by_hand() -> None:
    block = attention()
    x, known = torch.rand(1, 32, 2, 3), torch.rand(1, 1, 2, 3)
    q, k, v = block.qkv(ChannelNorm(32)(x)).flatten(2)[0].chunk(3)
    mixed = []
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        logits = q[part].T @ k[part] / 8**0.5 + block.known_bias[head] * known.flatten()
        mixed.append((logits.softmax(1) @ v[part].T).T)
    expected = x + block.project(torch.cat(mixed).reshape(1, 32, 2, 3))
    torch.testing.assert_close(block(x, known), expected)


def test_known_cells_are_preferred() -> None:
    block = attention()
    with torch.no_grad():
        block.known_bias.fill_(50)
    x = torch.rand(1, 32, 4, 4)
    known = torch.zeros(1, 1, 4, 4)
    known[..., 0, 0] = 1
    other = x.clone()
    other[..., 1:, 1:] = torch.rand(1, 32, 3, 3)  # unknown cells, which nobody looks at
    torch.testing.assert_close(block(x, known)[..., 0, :], block(other, known)[..., 0, :])


def test_twice_as_large_is_bilinear() -> None:
    x = torch.rand(2, 3, 5, 7)
    expected = torch.nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(enlarge_twice(x), expected)
