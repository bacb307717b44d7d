"""The guided upsampling network: budget, parts, and that training goes where it should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from iic_rt.patches import margin_of, patch_weights
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search
from iic_rt.resampling import base_weights
from training.config import Stage, UpsamplerConfig
from training.data import Pictures, StepPlans
from training.losses import match_loss, patch_shapes, patch_textures
from training.masks import ObjectShapes
from training.milestone import begin_from
from training.model.network import PRESETS, Generator, count_macs
from training.model.upsampler import (
    SHARES,
    GuidedUpsampler,
    SimilarityNetwork,
    enlarge,
    patch_rows,
    positions,
    unpatch_rows,
)
from training.model.weights import WeightsError, load_generator, load_upsampler, save_generator, save_upsampler
from training.release import main as release_main
from training.train import main as train_main
from training.upsampler_trainer import UpsamplerTrainer, laplacian_ratio, low_resolution


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(PRESETS["edge"]).eval()


@pytest.fixture(scope="module")
def upsampler() -> GuidedUpsampler:
    torch.manual_seed(1)
    return GuidedUpsampler().eval()


def scene(side: int, factor: float = 2.0, batch: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Picture, hole, low-resolution result (the truth's) and low-resolution hole."""
    torch.manual_seed(2)
    x = F.interpolate(torch.rand(batch, 3, 12, 12) * 2 - 1, (side, side), mode="bicubic").clamp(-1, 1)
    m = torch.zeros(batch, 1, side, side)
    m[:, :, side // 3 : side // 2, side // 4 : side // 2] = 1
    size = round(side / factor)
    return x, m, F.interpolate(x, (size, size), mode="area"), F.adaptive_max_pool2d(m, size)


def test_budget(upsampler: GuidedUpsampler) -> None:
    """At most half a GMAC, whatever the size of the image."""
    macs = count_macs(upsampler.similarity, torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
    assert 1e8 < macs <= 5e8


@pytest.mark.parametrize("factor", [1.0, 1.5, 2.0, 4.0])
def test_known_pixels_are_handed_through(upsampler: GuidedUpsampler, factor: float) -> None:
    x, m, y, low_m = scene(96, factor)
    out = upsampler(x, m, y, low_m)
    assert ((out.image - x) * (1 - m)).abs().max() < 1e-5
    torch.testing.assert_close(out.share.sum(2), torch.ones_like(out.share[..., 0]))


def test_nothing_unknown_is_read(upsampler: GuidedUpsampler) -> None:
    x, m, y, low_m = scene(96)
    other = torch.where(m > 0, -x, x)
    torch.testing.assert_close(upsampler(x, m, y, low_m).image, upsampler(other, m, y, low_m).image, rtol=0, atol=0)


def test_descriptors_are_unit_and_know_their_place() -> None:
    torch.manual_seed(3)
    q = SimilarityNetwork()(torch.rand(2, 3, 64, 96), torch.zeros(2, 1, 64, 96))
    assert q.shape == (2, 16 * 24, 76)
    torch.testing.assert_close(q.norm(dim=2), torch.ones(2, 16 * 24))
    place = positions(40, 40, torch.device("cpu"))[0]
    cosine = (place @ place[20 * 40 + 20]).reshape(40, 40)
    assert cosine[20, 20] == pytest.approx(1, abs=1e-5)
    assert cosine[28, 20] > 0.9  # the same place in the next block of 8
    assert cosine[21, 20] < cosine[28, 20]  # the patch beside it is not alike
    assert cosine[28, 20] > cosine[36, 20]  # and nearer is better
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("p", [4, 6, 8, 20])
def test_copying_is_that_of_the_specification(p: int) -> None:
    """But for windows that reach into the hole, which the training reads and inference leaves out."""
    groups = 8
    detail = torch.rand(1, 3, groups * p, groups * p)
    rows = patch_rows(detail, p, margin_of(p))
    every = torch.ones(1, groups**2)
    torch.testing.assert_close(unpatch_rows(rows, every, p, margin_of(p), groups), detail)
    random = torch.Generator().manual_seed(p)
    source = torch.randint(0, groups**2, (groups**2,), generator=random)
    share = (torch.rand(groups**2, generator=random) < 0.12).float()
    blended = unpatch_rows(rows[:, source], share[None], p, margin_of(p), groups)
    numbers = torch.arange(groups**2)
    moves = torch.stack((source // groups - numbers // groups, source % groups - numbers % groups))
    offset = 4 * moves.reshape(1, 1, 2, groups, groups).numpy().astype(np.int32)
    shares = share.reshape(1, 1, groups, groups).numpy()
    for r, c in np.ndindex(*detail.shape[2:]):
        inside = np.zeros((1, 1, *detail.shape[2:]))
        inside[0, 0, r, c] = 1
        near = (source // groups - r // p).abs().le(1) & (source % groups - c // p).abs().le(1)
        if near[share > 0].any():
            continue  # a patch that is copied holds the pixel itself, within its margin
        mixed, missing = patch_replace(detail.numpy(), inside, offset, shares)
        expected = blended[0, :, r, c] if not missing[0, 0, r, c] else torch.zeros(3)
        found = mixed[0, :, r, c] if not missing[0, 0, r, c] else np.zeros(3)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_enlarge_is_smooth_and_exact_on_a_slope() -> None:
    low = torch.arange(28.0).expand(1, 1, 28, 28)
    for factor in (1.5, 2.0, 4.0):
        large = enlarge(low, torch.from_numpy(base_weights(factor)))
        side = round(16 * factor)
        assert large.shape == (1, 1, side, side)
        expected = 6 + (torch.arange(side) + 0.5) / factor - 0.5
        torch.testing.assert_close(large[0, 0, 0], expected, rtol=0, atol=1e-4)
        assert (large == large[:, :, :1]).all() or (large - large[:, :, :1]).abs().max() < 1e-5


def test_the_softmax_is_that_of_the_specification(upsampler: GuidedUpsampler) -> None:
    x, m, y, low_m = scene(96)
    share = upsampler(x, m, y, low_m).share[0]
    q = upsampler.similarity(y, low_m)
    weight = patch_weights(1 - m[0, 0].numpy().astype(np.uint8), 8)[None]
    options = {"best": len(share), "scale": float(upsampler.scale)}
    offset, part = patch_search(q.detach().numpy(), np.ones_like(weight), weight, **options)
    expected = np.zeros(share.shape)
    numbers, columns = np.arange(len(share)), weight.shape[2]
    for move, shares in zip(offset[0].reshape(len(share), 2, -1) // 4, part[0].reshape(len(share), -1), strict=True):
        np.add.at(expected, (numbers, numbers + move[0] * columns + move[1]), shares)
    valid = weight.ravel() > 0
    np.testing.assert_allclose(share.detach()[:, valid], expected[:, valid], atol=1e-5)


def test_match_loss_prefers_one_good_patch_to_a_mixture() -> None:
    looks = torch.tensor([[[0.0], [-1.0], [1.0], [0.1]]])  # the mean of the middle two would be perfect
    weight = torch.tensor([[1.0, 0, 0, 0]])
    share = torch.zeros(1, 4, 4)
    share[0, :, 1:3] = 0.5
    assert match_loss(share, looks, weight).item() == pytest.approx(1)
    share[0] = torch.tensor([0.0, 0, 0, 1])
    assert match_loss(share, looks, weight).item() == pytest.approx(0.01, abs=1e-6)


def test_textures_do_not_see_phase_and_shapes_do() -> None:
    stripes = torch.zeros(1, 3, 32, 32)
    stripes[..., ::4] = stripes[..., 1::4] = 1
    moved = stripes.roll(2, 3)
    inner = (slice(None), [5, 6, 9, 10])
    torch.testing.assert_close(patch_textures(stripes, 8)[inner], patch_textures(moved, 8)[inner])
    assert patch_textures(stripes, 8).shape == (1, 16, 16)
    low = F.avg_pool2d(stripes, 2)
    assert patch_shapes(low, 4).shape == (1, 16, 19)
    assert (patch_shapes(low, 4) - patch_shapes(low.roll(1, 3), 4)).abs().max() > 0.2


def test_low_resolution_is_what_prepare_gives(generator: Generator) -> None:
    x, m, _, _ = scene(64)
    y, low_m = low_resolution(generator, x, m, 1)
    torch.testing.assert_close(y * (1 - low_m), F.avg_pool2d(x, 2) * (1 - low_m), rtol=0, atol=1e-2)
    assert low_m.unique().tolist() == [0, 1]


def test_laplacian_ratio_by_hand() -> None:
    x = torch.zeros(1, 3, 16, 16)
    x[..., ::2] = 1
    m = torch.zeros(1, 1, 16, 16)
    m[..., 4:12, 4:12] = 1
    assert laplacian_ratio(x, x, m).item() == pytest.approx(1)
    assert laplacian_ratio(0.5 * x + 0.25, x, m).item() == pytest.approx(0.5, abs=0.1)


@pytest.fixture(scope="module")
def pictures(shards: Path, cache: Path) -> Pictures:
    return Pictures(shards, cache=cache, validation=4)


def config(**changes: object) -> UpsamplerConfig:
    settings = {"samples": 16, "stages": (Stage(64, 4, 1.0),), "warmup_steps": 1, "adversarial_from": 0, **changes}
    return UpsamplerConfig(**settings)  # type: ignore[arg-type]


def test_a_step_moves_every_part_and_not_the_generator(pictures: Pictures, shards: Path, generator: Generator) -> None:
    trainer = UpsamplerTrainer(config(adversarial_weight=0.1), generator)
    before = {
        name: {key: value.detach().clone() for key, value in getattr(trainer, name).named_parameters()}
        for name in ("upsampler", "ema", "discriminator")
    }
    frozen = [p.clone() for p in generator.parameters()]
    plan = StepPlans(pictures, ObjectShapes(shards / "objects.npz"), seed=0, size=64, batch=4, start=0)[0]
    for _ in range(2):
        losses = trainer.train_step(*pictures.crops(plan))
    assert {"l1", "match", "hinge", "discriminator"} <= losses.keys()
    assert all(torch.isfinite(value) for value in losses.values())
    for name in ("upsampler", "ema"):
        for key, value in getattr(trainer, name).named_parameters():
            assert not torch.equal(value, before[name][key]), (name, key)
    assert all(torch.equal(a, b) for a, b in zip(frozen, generator.parameters(), strict=True))


def test_matching_is_learned(pictures: Pictures, shards: Path, generator: Generator) -> None:
    trainer = UpsamplerTrainer(config(adversarial_weight=0.0), generator)
    plan = StepPlans(pictures, ObjectShapes(shards / "objects.npz"), seed=0, size=64, batch=4, start=0)[0]
    x, m = pictures.crops(plan)
    losses = [float(trainer.train_step(x, m)["match"]) for _ in range(25)]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


def test_a_run_begins_with_released_weights(tmp_path: Path, generator: Generator, upsampler: GuidedUpsampler) -> None:
    released = GuidedUpsampler(scale=180.0)
    released.similarity.load_state_dict(upsampler.similarity.state_dict())
    save_upsampler(tmp_path / "upsampler.safetensors", released, training={})
    trainer = UpsamplerTrainer(config(), generator)
    scale = float(trainer.upsampler.scale)
    begin_from(tmp_path / "upsampler.safetensors", trainer)
    y, m = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    m[:, :, 16:40, 24:48] = 1
    for network in (trainer.upsampler, trainer.ema):
        torch.testing.assert_close(network.similarity(y, m), upsampler.similarity(y, m), atol=1e-3, rtol=0)  # FP16
        assert float(network.scale) == scale
    assert (trainer.step, trainer.samples) == (0, 0)


def test_train_and_release(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_generator(tmp_path / "g.safetensors", Generator(PRESETS["edge"]), preset="edge", training={})
    command = ["--data", str(shards), "--upsampler", str(tmp_path / "g.safetensors"), "--validation", "4"]
    run, out = tmp_path / "run", tmp_path / "released" / "upsampler"
    options = ["--out", str(run), "--samples", "12", "--stage", "64:4:1", "--workers", "0", "--device", "cpu"]
    assert train_main([*command, *options, "--no-compile"]) == 0
    assert release_main([*command, "--run", str(run), "--out", str(out)]) == 0
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["gmac"] <= 0.5
    assert str(facts["scale"]) in facts["validation"]
    network, header = load_upsampler(out.with_suffix(".safetensors"))
    assert header["steps"] == "3"
    assert float(network.scale) == pytest.approx(facts["scale"], rel=1e-2)
    assert "with scale" in capsys.readouterr().out
    with pytest.raises(ValueError, match="holds a run of the upsampler, not of the generator; name another --out"):
        train_main(["--data", str(shards), "--validation", "4", *options, "--no-compile"])


def test_state_and_restore_are_inverses(pictures: Pictures, shards: Path, generator: Generator) -> None:
    plans = StepPlans(pictures, ObjectShapes(shards / "objects.npz"), seed=0, size=64, batch=4, start=0)
    whole, first, second = (UpsamplerTrainer(config(), generator) for _ in range(3))
    for i in range(3):
        whole.train_step(*pictures.crops(plans[i]))
    for i in range(2):
        first.train_step(*pictures.crops(plans[i]))
    second.restore(
        {name: value.clone() for name, value in first.state().items()}, step=first.step, samples=first.samples
    )
    second.train_step(*pictures.crops(plans[2]))
    for name, value in whole.state().items():
        assert torch.equal(value, second.state()[name]), name


def test_weights_of_the_wrong_kind(tmp_path: Path) -> None:
    save_upsampler(tmp_path / "u.safetensors", GuidedUpsampler(), training={})
    save_generator(tmp_path / "g.safetensors", Generator(PRESETS["edge"]), preset="edge", training={})
    with pytest.raises(WeightsError, match="expected 'iic-rt-generator-2'"):
        load_generator(tmp_path / "u.safetensors")
    with pytest.raises(WeightsError, match="expected 'iic-rt-upsampler-2'"):
        load_upsampler(tmp_path / "g.safetensors")
