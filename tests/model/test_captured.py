"""Captured steps are the steps themselves; what is captured is simulated by what it was captured from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.captured import WARM_UPS, CapturedStep
from training.config import Stage, TrainConfig
from training.generator_trainer import GeneratorTrainer
from training.model.network import PRESETS, EncoderConfig, GeneratorConfig

ENCODER = EncoderConfig((8, 8, 8), (1,), 1)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset of its own, so that a step takes milliseconds."""
    config = GeneratorConfig(ENCODER, ENCODER, detail_channels=4, confidence_channels=16, head_channels=4)
    monkeypatch.setitem(PRESETS, "tiny", config)


class Replayed:
    """Replays by running again, on the inputs that were held when it was recorded."""

    def __init__(self) -> None:
        self.recorded = 0

    def run(self, work: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        return work()

    def record(self, work: Callable[[], dict[str, Tensor]]) -> Callable[[], dict[str, Tensor]]:
        self.recorded += 1
        return work


def inputs(seed: int, size: int = 32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    m = torch.zeros(2, 1, size, size)
    m[:, :, 8:24, 8:24] = 1
    return torch.rand(2, 3, size, size) * 2 - 1, m


@pytest.mark.parametrize("adversarial_weight", [0.0, 0.1])
def test_captured_steps_are_the_steps(adversarial_weight: float) -> None:
    settings = TrainConfig(
        preset="tiny",
        samples=99,
        stages=(Stage(32, 2, 1.0),),
        warmup_steps=4,
        adversarial_weight=adversarial_weight,
    )
    recorder = Replayed()
    plain, captured = GeneratorTrainer(settings), GeneratorTrainer(settings)
    captured._recorder = recorder
    for trainer in (plain, captured):
        trainer.breaks = False
        for seed in range(WARM_UPS + 4):
            losses = trainer.train_step(*inputs(seed))
            assert {"l1_1", "l1_2"} <= losses.keys()
    assert recorder.recorded == 1
    assert captured.step == plain.step == WARM_UPS + 4
    for name, value in plain.state().items():
        assert torch.equal(value, captured.state()[name]), name


def test_every_shape_is_captured_for_itself() -> None:
    trainer = GeneratorTrainer(TrainConfig(preset="tiny", samples=99, stages=(Stage(32, 2, 1.0),)))
    trainer._recorder = recorder = Replayed()
    trainer.breaks = False
    for size in (32, 48):
        for seed in range(WARM_UPS + 2):
            trainer.train_step(*inputs(seed, size))
    assert recorder.recorded == 2


def test_recordings_take_turns_and_keep_what_they_drew() -> None:
    def compute(x: Tensor, m: Tensor) -> dict[str, Tensor]:
        return {"drawn": torch.rand(()), "sum": (x * m).sum()}

    class Frozen(Replayed):
        """What was drawn while it was recorded is what a replay gives."""

        def record(self, work: Callable[[], dict[str, Tensor]]) -> Callable[[], dict[str, Tensor]]:
            drawn = work()["drawn"]
            return lambda: work() | {"drawn": drawn}

    step = CapturedStep(compute, Frozen(), variants=3)
    found = [step(*inputs(seed)) for seed in range(WARM_UPS + 9)]
    recorded = [float(losses["drawn"]) for losses in found[WARM_UPS : WARM_UPS + 3]]
    replayed = [float(losses["drawn"]) for losses in found[WARM_UPS + 3 :]]
    assert sorted(replayed[:3]) == sorted(replayed[3:]) == sorted(recorded)
    assert len(set(replayed)) == 3
    x, m = inputs(WARM_UPS + 8)
    assert found[-1]["sum"] == (x * m).sum()


def test_what_cannot_be_captured_goes_on_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    class Refusing(Replayed):
        def record(self, work: Callable[[], dict[str, Tensor]]) -> Callable[[], dict[str, Tensor]]:
            raise RuntimeError("operation not permitted when stream is capturing")

    step = CapturedStep(lambda x, m: {"sum": (x * m).sum()}, Refusing(), variants=1)
    for seed in range(WARM_UPS + 3):
        x, m = inputs(seed)
        assert step(x, m)["sum"] == (x * m).sum()
    assert capsys.readouterr().err.count("cannot be captured") == 1
