"""A training step on a GPU never waits for it, and gives what a step on the CPU gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from training.captured import WARM_UPS
from training.config import Stage, TrainConfig, UpsamplerConfig
from training.data import Pictures, StepPlans
from training.generator_trainer import GeneratorTrainer
from training.masks import ObjectShapes
from training.model.network import PRESETS, Generator
from training.trainer import Trainer
from training.upsampler_trainer import UpsamplerTrainer

COMMON: dict[str, Any] = {"samples": 99, "adversarial_weight": 0.1}


def generator_trainer(**placed: Any) -> GeneratorTrainer:
    trainer = GeneratorTrainer(TrainConfig(stages=(Stage(64, 4, 1.0),), **COMMON), **placed)
    trainer.breaks = False
    return trainer


def upsampler_trainer(**placed: Any) -> UpsamplerTrainer:
    settings = UpsamplerConfig(stages=(Stage(64, 4, 1.0),), adversarial_from=0, **COMMON)
    return UpsamplerTrainer(settings, Generator(PRESETS["edge"]), **placed)


TRAINERS = [generator_trainer, upsampler_trainer]


class Recorded(TorchDispatchMode):
    """Names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


# What they return has to be read by the host, or (lift_fresh, of `torch.tensor`) is copied from its pageable memory.
WAITING = {"_local_scalar_dense", "equal", "is_nonzero", "lift_fresh", "masked_select", "nonzero"}


@pytest.mark.parametrize("make", TRAINERS)
def test_no_operator_of_a_step_waits(make: Callable[..., Trainer]) -> None:
    trainer = make()
    x, m = torch.rand(2, 3, 64, 64) * 2 - 1, torch.zeros(2, 1, 64, 64)
    m[:, :, 16:40, 8:40] = 1
    with Recorded() as recorded:
        trainer.train_step(x, m)
    assert {"convolution", "convolution_backward"} <= recorded.names
    assert not recorded.names & WAITING


@pytest.mark.parametrize("trust", [-20.0, 20.0])
def test_passes_that_change_nothing_count_nothing(trust: float) -> None:
    """Nothing is trusted in the first pass, or everything: on a GPU the second runs all the same."""
    x, m = torch.rand(2, 3, 32, 32) * 2 - 1, torch.zeros(2, 1, 32, 32)
    m[:, :, 8:24, 8:24] = 1
    states: dict[bool, dict[str, Tensor]] = {}
    for breaks in (True, False):
        trainer = generator_trainer()
        trainer.breaks = breaks
        with torch.no_grad():
            trainer.generator.confidence_decoder.to_logit.conv.bias += trust
        losses = trainer.train_step(x, m)
        assert ("l1_2" in losses) != breaks
        states[breaks] = trainer.state()
    assert any("exp_avg_sq" in name for name in states[True])
    for name, value in states[True].items():
        # The estimate of a spectral norm becomes better each time the discriminator looks.
        if not name.endswith(("._u", "._v")):
            assert torch.equal(value, states[False][name]), name


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize(("make", "compiled"), [*((make, False) for make in TRAINERS), (generator_trainer, True)])
def test_a_step_on_the_gpu_never_waits(shards: Path, cache: Path, make: Callable[..., Trainer], compiled: bool) -> None:
    pictures = Pictures(shards, cache=cache, device="cuda", validation=4)
    plans = StepPlans(pictures, ObjectShapes(shards / "objects.npz"), seed=0, size=64, batch=4, start=0, drawn=0.25)
    trainer = make(device="cuda", compiled=compiled)
    for i in range(2):  # compiles, and makes the optimisers' moments
        trainer.train_step(*pictures.crops(plans[i]))
    plan = plans[2]
    with no_waiting():
        losses = trainer.train_step(*pictures.crops(plan))
    assert all(bool(torch.isfinite(value)) for value in losses.values())


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_a_captured_step_on_the_gpu_is_the_step(shards: Path, cache: Path, compiled: bool) -> None:
    pictures = Pictures(shards, cache=cache, device="cuda", validation=4)
    plans = StepPlans(pictures, ObjectShapes(shards / "objects.npz"), seed=0, size=64, batch=4, start=0, drawn=0.25)
    settings = TrainConfig(stages=(Stage(64, 4, 1.0),), samples=99, warmup_steps=4)
    captured, plain = (GeneratorTrainer(settings, device="cuda", compiled=compiled) for _ in range(2))
    plain._recorder = None
    for i in range(WARM_UPS + 5):
        inputs = pictures.crops(plans[i])
        losses, expected = captured.train_step(*inputs), plain.train_step(*inputs)
        for name, value in expected.items():
            torch.testing.assert_close(losses[name], value, rtol=0.03, atol=0.01, msg=f"{name} of step {i}")
    (step,) = captured._captured.values()
    assert len(step._recordings) == 1
    for name, value in plain.state().items():
        if name.startswith("ema."):
            torch.testing.assert_close(captured.state()[name], value, rtol=0.05, atol=0.01, msg=name)


@pytest.mark.gpu
def test_crops_on_the_gpu_are_those_of_the_cpu(shards: Path, cache: Path) -> None:
    here, there = (Pictures(shards, cache=cache, device=device, validation=4) for device in ("cpu", "cuda"))
    plan = StepPlans(here, ObjectShapes(shards / "objects.npz"), seed=0, size=32, batch=8, start=0, drawn=0.25)[0]
    (x, m), (y, n) = here.crops(plan), there.crops(plan)
    assert torch.equal(m, n.cpu())
    assert (x - y.cpu()).abs().max() < 0.03  # the CPU rounds to whole levels before the gamma
