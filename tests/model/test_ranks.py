"""Two processes with half of the batch each take the step that one process takes with the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.config import TrainConfig
from training.data import Pictures, StepPlans
from training.generator_trainer import GeneratorTrainer
from training.masks import ObjectShapes
from training.ranks import ALONE, Ranks


def settings() -> TrainConfig:
    return TrainConfig(samples=12, iterations=1, adversarial_weight=0.01, max_gradient_norm=1e9)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    x = torch.rand(4, 3, 32, 32) * 2 - 1
    m = torch.zeros(4, 1, 32, 32)
    m[:, :, 8:24, 8:24] = 1  # holes of one size: the mean of the halves' means is the whole's mean
    return x, m


def gradients(trainer: GeneratorTrainer) -> dict[str, torch.Tensor]:
    networks = {"generator": trainer.generator, "discriminator": trainer.discriminator}
    return {
        f"{network}.{name}": p.grad.contiguous()
        for network, module in networks.items()
        for name, p in module.named_parameters()
        if p.grad is not None
    }


def step_of_one_rank(folder: Path) -> None:
    ranks = Ranks.join()
    trainer = GeneratorTrainer(settings(), ranks=ranks)
    x, m = batch()
    half = slice(2 * ranks.rank, 2 * ranks.rank + 2)
    with ranks.first_before_the_others():
        order = folder / "order"
        order.write_text((order.read_text() if order.exists() else "") + str(ranks.rank))
    trainer.train_step(x[half], m[half])
    assert trainer.samples == 4
    assert ranks.of_first(10.5 + ranks.rank, ranks.rank == 0) == [10.5, 1.0]
    save_file(gradients(trainer), folder / f"gradients-{ranks.rank}.safetensors")


def test_two_ranks_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(30000 + os.getpid() % 20000)}
    command = [sys.executable, __file__, str(tmp_path)]
    variables = os.environ | world | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    ranks = [subprocess.Popen(command, env=variables | {"RANK": str(rank)}) for rank in range(2)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    assert (tmp_path / "order").read_text() == "01"
    whole = GeneratorTrainer(settings())
    whole.train_step(*batch())
    expected = gradients(whole)
    for rank in range(2):
        found = load_file(tmp_path / f"gradients-{rank}.safetensors")
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert (found[name] - gradient).norm() < 1e-3 * gradient.norm() + 1e-8, name


def test_alone_everything_stays() -> None:
    assert Ranks.join() is ALONE
    assert ALONE.of_first(1, 0.5) == [1, 0.5]
    assert ALONE.share_of(7) == 7


def test_a_batch_that_cannot_be_split_is_named() -> None:
    assert Ranks(1, 2).share_of(16) == 8
    with pytest.raises(ValueError, match="batch of 5 cannot be split evenly over 2 processes"):
        Ranks(0, 2).share_of(5)


def test_ranks_draw_different_batches(shards: Path, cache: Path) -> None:
    pictures = Pictures(shards, cache=cache, validation=4)
    shapes = ObjectShapes(shards / "objects.npz")
    plans = [StepPlans(pictures, shapes, seed=0, size=32, batch=4, start=0, rank=rank)[3] for rank in (0, 1)]
    assert plans[0].boxes != plans[1].boxes


if __name__ == "__main__":
    step_of_one_rank(Path(sys.argv[1]))
