"""What every training run shares: an EMA of the weights, the learning rate, a state that survives a kill."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from training.checkpoint import optimizer_tensors, restore_optimizer
from training.config import TrainConfig
from training.data import Pictures, Plan
from training.losses import discriminator_loss, generator_hinge
from training.ranks import Ranks
from training.validate import autocast

__all__ = ["Trainer", "learning_rate"]

Module = TypeVar("Module", bound=nn.Module)


def learning_rate(config: TrainConfig, step: int, decayed: float) -> float:
    """Linear warm-up, then constant, then along a cosine to the final rate as ``decayed`` runs from 0 to 1.

    A long constant phase leaves open when the run is to end: the decay can begin at any time.
    """
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, decayed)))
    rate = config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / config.warmup_steps)


class Trainer(ABC):
    """Networks, optimisers and EMA; ``state`` and ``restore`` are exact inverses.

    Attributes:
        NETWORKS: attributes whose weights make up the state; the first names what is trained.
        SCORE: the validation score that the best weights have the highest of.
        ema: the averaged network, which is released.
        discriminator: judges what is trained.
        step: how many steps were done.
        samples: how many pictures were seen.
        decayed: how far the learning rate has come down, 0 to 1; set by whoever keeps the clock.
        ranks: the processes that train together.
    """

    NETWORKS: ClassVar[tuple[str, ...]]
    SCORE: ClassVar[str]
    ema: nn.Module
    discriminator: nn.Module

    def __init__(self, config: TrainConfig, *, device: str, ranks: Ranks) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.ranks = config, device, ranks
        self.step, self.samples, self.decayed = 0, 0, 0.0
        self._optimizers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def train_step(self, x: Tensor, m: Tensor) -> dict[str, Tensor]:
        """One optimiser step on pictures x [B, 3, H, W] and holes m [B, 1, H, W]; returns losses as 0-d tensors."""

    @abstractmethod
    def validate(self, pictures: Pictures, plan: Plan) -> dict[str, float]:
        """Scores of the average on held-out pictures, ``SCORE`` among them."""

    @abstractmethod
    def write_samples(self, path: Path, pictures: Pictures, plan: Plan) -> None:
        """A sheet of results to look at."""

    @abstractmethod
    def write_average(self, path: Path, header: dict[str, str]) -> None:
        """The averaged weights in FP16, with free text about the training."""

    def _placed(self, module: Module) -> Module:
        return module.to(self.device).to(memory_format=torch.channels_last)

    def _optimize(self, name: str, **options: Any) -> None:
        if torch.device(self.device).type != "cpu":
            # On the device, so that a step that is captured once follows the schedule.
            options |= {"lr": torch.zeros((), device=self.device), "capturable": True}
        self._optimizers[name] = torch.optim.Adam(getattr(self, name).parameters(), fused=True, **options)

    def _set_learning_rate(self) -> None:
        rate = learning_rate(self.config, self.step, self.decayed)
        for optimizer in self._optimizers.values():
            group = optimizer.param_groups[0]
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _forget_gradients(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def _train_discriminator(self, real: Tensor, fake: Tensor, *, share: Tensor | float = 1.0) -> Tensor:
        """Eq. 1 on images [B, 3, H, W]: leaves ``share`` of the gradient in the discriminator; returns the loss."""
        with autocast(real.device):
            scores = self.discriminator(real), self.discriminator(fake.detach())
        loss = discriminator_loss(*(score.float() for score in scores))
        (share * loss).backward()
        return loss.detach()

    def _hinge(self, fake: Tensor) -> Tensor:
        """The adversarial part of Eq. 2 and 3 for images [B, 3, H, W]; the discriminator gets no gradient."""
        self.discriminator.requires_grad_(False)
        with autocast(fake.device):
            score = self.discriminator(fake)
        self.discriminator.requires_grad_(True)
        return generator_hinge(score.float())

    @torch.no_grad()
    def _end_step(self, average: nn.Module, current: nn.Module, samples: int) -> None:
        self.step += 1
        self.samples += samples * self.ranks.count
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(average.parameters()), list(current.parameters()), 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """Every tensor a run needs to go on as if it had never stopped."""
        tensors: dict[str, Tensor] = {}
        for name in self.NETWORKS:
            tensors |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        for name, optimizer in self._optimizers.items():
            tensors |= optimizer_tensors(f"optimizer.{name}", optimizer, getattr(self, name))
        return tensors

    def restore(self, tensors: dict[str, Tensor], *, step: int, samples: int) -> None:
        """Puts back what :meth:`state` took."""
        for name in self.NETWORKS:
            prefix = f"{name}."
            part = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            getattr(self, name).load_state_dict(part)
        for name, optimizer in self._optimizers.items():
            restore_optimizer(f"optimizer.{name}", optimizer, getattr(self, name), tensors)
        self.step, self.samples = step, samples
