"""A run learns, repeats under a seed, and goes on after a kill as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch._inductor.config
from safetensors.torch import load_file
from torch import Tensor

from training.config import Stage, TrainConfig
from training.data import Pictures, StepPlans
from training.generator_trainer import GeneratorTrainer, Pass, network_pass
from training.masks import ObjectShapes
from training.milestone import begin_from
from training.model.blocks import AttentionBlock
from training.model.network import PRESETS, EncoderConfig, Generator, count_macs
from training.model.weights import WeightsError, load_generator, save_generator
from training.plot import main as plot
from training.release import main as release_main
from training.train import Run, main
from training.trainer import learning_rate
from training.validate import hole_psnr

STAGES = (Stage(32, 4, 0.5), Stage(48, 2, 1.0))


@pytest.fixture(scope="module")
def pictures(shards: Path, cache: Path) -> Pictures:
    return Pictures(shards, cache=cache, validation=4)


@pytest.fixture(scope="module")
def shapes(shards: Path) -> ObjectShapes:
    return ObjectShapes(shards / "objects.npz")


def config(**changes: object) -> TrainConfig:
    settings = {"samples": 12, "stages": STAGES, "warmup_steps": 2, "lambda_": 0.6, **changes}
    return TrainConfig(**settings)  # type: ignore[arg-type]


def run(folder: Path, pictures: Pictures, shapes: ObjectShapes, settings: TrainConfig, *, stop_after: int = 99) -> Run:
    made = Run(folder, GeneratorTrainer(settings), pictures, shapes)
    step = made.trainer.train_step

    def counted(*arguments: object) -> dict[str, Tensor]:
        losses = step(*arguments)  # type: ignore[arg-type]
        if made.trainer.step == stop_after:
            made.stop()
        return losses

    made.trainer.train_step = counted  # type: ignore[method-assign, assignment]
    made.train(workers=0)
    return made


@pytest.fixture(scope="module", params=[0.0, 0.01])
def uninterrupted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pictures: Pictures, shapes: ObjectShapes
) -> tuple[TrainConfig, dict[str, Tensor]]:
    """The settings and the last state of a run, without the discriminator and with it."""
    settings, folder = config(adversarial_weight=request.param, adversarial_from=4), tmp_path_factory.mktemp("whole")
    run(folder, pictures, shapes, settings)
    return settings, load_file(folder / "state.safetensors")


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_resume_equals_no_interruption(
    tmp_path: Path,
    pictures: Pictures,
    shapes: ObjectShapes,
    uninterrupted: tuple[TrainConfig, dict[str, Tensor]],
    stop_after: int,
) -> None:
    settings, whole = uninterrupted
    run(tmp_path / "parts", pictures, shapes, settings, stop_after=stop_after)
    assert not (tmp_path / "parts" / "best.safetensors").exists()
    average, header = load_generator(tmp_path / "parts" / "milestone.safetensors")
    assert header["samples"] == str({1: 4, 2: 8, 3: 10}[stop_after])
    saved = load_file(tmp_path / "parts" / "state.safetensors")
    for name, value in average.state_dict().items():
        assert torch.equal(value, saved[f"ema.{name}"].half().float()), name
    assert run(tmp_path / "parts", pictures, shapes, settings).trainer.step == 4
    parts = load_file(tmp_path / "parts" / "state.safetensors")
    assert whole.keys() == parts.keys()
    assert len([name for name in whole if "exp_avg_sq" in name]) > 50
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


def test_a_step_moves_every_network_and_the_average_follows(pictures: Pictures, shapes: ObjectShapes) -> None:
    trainer = GeneratorTrainer(config(adversarial_weight=0.1))
    names = ("generator", "discriminator", "ema")
    before = {name: [p.clone() for p in getattr(trainer, name).parameters()] for name in names}
    plan = StepPlans(pictures, shapes, seed=0, size=32, batch=4, start=0)[0]
    for _ in range(2):  # attention ends in zeros: what is in front of them moves with the second step
        losses = trainer.train_step(*pictures.crops(plan))
    for name in names:
        moved = [not torch.equal(p, q) for p, q in zip(getattr(trainer, name).parameters(), before[name], strict=True)]
        # The discriminator's last bias stays: before any margin is met, real and fake pull it equally.
        assert sum(moved) >= len(moved) - (name == "discriminator"), name
    assert {"l1_1", "confidence_1", "hinge_1", "discriminator_1", "hole_left_1"} <= losses.keys()
    assert all(torch.isfinite(v) for v in losses.values())


def test_a_confidence_decoder_of_its_own(tmp_path: Path, pictures: Pictures, shapes: ObjectShapes) -> None:
    run(tmp_path / "network", pictures, shapes, config())
    trainer = GeneratorTrainer(config(confidence_only=True, lambda_=0.2))
    begin_from(tmp_path / "network" / "milestone.safetensors", trainer)
    before = {name: value.clone() for name, value in trainer.generator.state_dict().items()}
    assert (trainer.step, trainer.samples) == (0, 0)
    trainer.train_step(*pictures.crops(StepPlans(pictures, shapes, seed=0, size=32, batch=4, start=0)[0]))
    moved = {name for name, value in trainer.generator.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("confidence_decoder.") for name in moved)


def test_more_attention_blocks_begin_as_the_network_without_them(tmp_path: Path) -> None:
    milestone = tmp_path / "edge.safetensors"
    torch.manual_seed(0)
    edge = Generator(PRESETS["edge"]).eval()
    for parameter in edge.parameters():  # attention blocks too
        torch.nn.init.normal_(parameter, std=0.02)
    save_generator(milestone, edge, preset="edge", training={"step": "7", "samples": "70"})
    edge, _ = load_generator(milestone)
    trainer = GeneratorTrainer(config(preset="edge-deep"))
    begin_from(milestone, trainer)
    assert (trainer.step, trainer.samples) == (7, 70)
    m = torch.zeros(1, 1, 32, 32)
    m[:, :, 8:20, 8:20] = 1
    z = (torch.rand(1, 3, 32, 32) * 2 - 1) * (1 - m)
    for network in (trainer.generator, trainer.ema):
        assert count_macs(network, z, m) > count_macs(edge, z, m)
        for found, expected in zip(network(z, m), edge(z, m), strict=True):
            torch.testing.assert_close(found, expected)


OTHERS = [("edge-deep", "edge"), ("edge-no-attention", "edge"), ("edge", "edge-no-prefill"), ("edge", "base")]


@pytest.mark.parametrize(("written", "preset"), OTHERS)
def test_a_milestone_of_another_network_is_refused(tmp_path: Path, written: str, preset: str) -> None:
    milestone = tmp_path / "milestone.safetensors"
    save_generator(milestone, Generator(PRESETS[written]), preset=written, training={"step": "7", "samples": "70"})
    with pytest.raises(WeightsError, match="no milestone"):
        begin_from(milestone, GeneratorTrainer(config(preset=preset)))


def test_a_network_without_confidence_leaves_its_decoder_alone(pictures: Pictures, shapes: ObjectShapes) -> None:
    trainer = GeneratorTrainer(config(confidence_weight=0.0, iterations=1, preset="global-local-like"))
    before = {name: value.clone() for name, value in trainer.generator.state_dict().items()}
    plans = StepPlans(pictures, shapes, seed=0, size=32, batch=4, start=0, classic=True)
    losses = trainer.train_step(*pictures.crops(plans[0]))
    assert "l1_2" not in losses
    for name, value in trainer.generator.state_dict().items():
        if name.startswith("confidence_decoder."):
            assert torch.equal(value, before[name]), name
    last = "fine_decoder.to_rgb.conv.weight"
    assert not torch.equal(trainer.generator.state_dict()[last], before[last])


def test_it_learns(pictures: Pictures, shapes: ObjectShapes) -> None:
    trainer = GeneratorTrainer(config(warmup_steps=1))
    plan = StepPlans(pictures, shapes, seed=0, size=32, batch=4, start=0)[0]
    x, m = pictures.crops(plan)
    losses = [float(trainer.train_step(x, m)["l1_1"]) for _ in range(30)]
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])


def test_schedules() -> None:
    settings = config(learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=10)
    assert learning_rate(settings, 0, 0.0) == pytest.approx(1e-4)
    assert learning_rate(settings, 10, 0.0) == pytest.approx(1e-3)
    assert learning_rate(settings, 99, 0.5) == pytest.approx((1e-3 + 1e-5) / 2)
    assert learning_rate(settings, 99, 1.0) == pytest.approx(1e-5)


def test_hole_psnr_by_hand() -> None:
    x, m = torch.zeros(1, 3, 2, 2), torch.tensor([[1.0, 0], [0, 0]]).reshape(1, 1, 2, 2)
    y = torch.full_like(x, 0.2)  # a tenth of the range
    y[..., 1] = 1  # outside the hole
    assert hole_psnr(y, x, m).item() == pytest.approx(20, abs=1e-4)


def test_a_run_of_another_preset_is_not_overwritten(tmp_path: Path, pictures: Pictures, shapes: ObjectShapes) -> None:
    run(tmp_path, pictures, shapes, config(), stop_after=1)
    with pytest.raises(ValueError, match=r"preset 'edge', not 'base'; name another --out"):
        Run(tmp_path, GeneratorTrainer(config(preset="base")), pictures, shapes)


def test_a_diverged_run_stops_and_keeps_its_state(
    tmp_path: Path, pictures: Pictures, shapes: ObjectShapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, pictures, shapes, config(), stop_after=2)
    before = (tmp_path / "state.safetensors").read_bytes()
    monkeypatch.setattr("training.train.LOG_EVERY", 1)
    monkeypatch.setattr("training.trainer.learning_rate", lambda *_: float("nan"))
    with pytest.raises(FloatingPointError, match="lower --learning-rate"):
        run(tmp_path, pictures, shapes, config(samples=99))
    assert (tmp_path / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"minutes": 3.0}, "either samples or minutes"),
        ({"samples": None}, "either samples or minutes"),
        ({"stages": (Stage(32, 4, 0.5),)}, "until 1"),
        ({"stages": (Stage(40, 4, 1.0),)}, "multiple of 16"),
    ],
)
def test_bad_settings(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**wrong)


def test_the_command_writes_log_samples_plot_and_weights(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    stages = ["--stage", "32:4:0.5", "--stage", "48:4:1.0"]
    arguments = ["--data", str(shards), "--out", str(out), "--samples", "80", "--no-compile", "--workers", "0"]
    assert main([*arguments, *stages, "--validation", "4"]) == 0
    assert "min left" in capsys.readouterr().out
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"images_per_second", "l1_1", "confidence_1"} <= rows[0].keys()
    assert {"psnr_t1", "psnr_t4", "best"} <= rows[-1].keys()
    assert 0 <= rows[-1]["sure_share"] <= 1
    assert list(out.glob("samples-*.png"))
    assert load_file(out / "best.safetensors")
    released = ["--run", str(out), "--data", str(shards), "--out", str(tmp_path / "weights"), "--validation", "4"]
    assert release_main(released) == 0
    facts = json.loads((tmp_path / "weights.json").read_text())
    assert facts["validation"]["psnr_t4"] == pytest.approx(rows[-1]["best"], abs=0.02)  # in FP16
    generator, header = load_generator(tmp_path / "weights.safetensors")
    assert header["preset"] == "edge"
    shipped = generator.confidence_decoder.to_logit.conv.bias
    assert (out / "best.safetensors").stat().st_size < 8e6
    trained = load_file(out / "best.safetensors")["confidence_decoder.to_logit.conv.bias"]
    torch.testing.assert_close(shipped, trained.float(), rtol=0, atol=0)
    assert plot([str(out / "log.jsonl"), "--out", str(tmp_path / "log.png")]) == 0
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def two_threads() -> Iterator[None]:
    """As on two cores, whatever the tests have: code is compiled for so many."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_compiled_gradients_are_those_of_eager() -> None:
    """A compiler that loses a gradient leaves layers untrained without a word."""
    torch.manual_seed(0)
    # Every kind of layer once: the whole network, where alone the fault of F.interpolate shows, compiles for minutes.
    preset = replace(PRESETS["edge"], coarse=None, fine=EncoderConfig((16, 32, 64), (1,), 1))
    generator = Generator(preset).to(memory_format=torch.channels_last)
    for layer in generator.modules():
        if isinstance(layer, AttentionBlock):
            torch.nn.init.normal_(layer.project.weight, std=0.05)
            torch.nn.init.normal_(layer.narrow.weight, std=0.05)
    x = (torch.rand(2, 3, 32, 32) * 2 - 1).contiguous(memory_format=torch.channels_last)
    m = (torch.rand(2, 1, 32, 32) < 0.3).float()

    def gradients(run: Callable[..., Pass]) -> dict[str, Tensor]:
        generator.zero_grad()
        run(generator, config(), x * (1 - m), m, x).loss.backward()
        return {name: p.grad.clone() for name, p in generator.named_parameters() if p.grad is not None}

    expected = gradients(network_pass)
    with torch._inductor.config.patch({"cpp.simdlen": 0}):  # scalar code compiles in half the time
        found = gradients(torch.compile(network_pass, dynamic=False))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() < 1e-2 * gradient.norm() + 1e-9, name
