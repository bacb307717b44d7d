"""Training of the generator: two iterations of Algorithm 1 a step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from training.captured import CapturedStep, CudaRecorder, Recorder
from training.config import TrainConfig
from training.data import Pictures, Plan
from training.losses import PerceptualLoss, confidence_loss, reconstruction_loss
from training.model.discriminator import PatchDiscriminator
from training.model.network import PRESETS, Generator
from training.model.step import update
from training.model.weights import save_generator
from training.ranks import ALONE, Ranks
from training.trainer import Trainer
from training.validate import autocast, validate, write_samples

__all__ = ["GeneratorTrainer"]


Losses = dict[str, Tensor]
LOOKS = 16  # at other scales and places, of the perceptual loss in captured steps


class Pass(NamedTuple):
    """What one pass of the network gives a training step."""

    loss: Tensor
    l1: Tensor
    confidence: Tensor
    g: Tensor  # [B, 3, H, W]
    c: Tensor  # [B, 1, H, W]


def network_pass(model: Generator, config: TrainConfig, z: Tensor, m: Tensor, x: Tensor) -> Pass:
    """The network and the losses that need no other network, in one function so that a compiler may fuse them."""
    g, c, coarse = (t.float() for t in model(z, m))
    weights = {"l2_weight": config.l2_weight, "known_weight": config.known_weight}
    l1 = reconstruction_loss(g, x, m, **weights)
    confidence = confidence_loss(g, x, c, m, lambda_=config.lambda_, l2_weight=config.l2_weight)
    coarse_l1 = reconstruction_loss(coarse, x, m, **weights)
    loss = l1 + config.confidence_weight * confidence + config.coarse_weight * coarse_l1
    return Pass(loss, l1.detach(), confidence.detach(), g, c)


class GeneratorTrainer(Trainer):
    """The generator, its average and its discriminator.

    Attributes:
        breaks: a step leaves out passes that change nothing. To ask would make the host wait for a GPU: there every
            step has all passes, and these count nothing.
    """

    NETWORKS = ("generator", "ema", "discriminator")
    SCORE = "psnr_t4"

    def __init__(
        self, config: TrainConfig, *, device: str = "cpu", compiled: bool = False, ranks: Ranks = ALONE
    ) -> None:
        super().__init__(config, device=device, ranks=ranks)
        self.breaks = torch.device(device).type == "cpu"
        self.generator = self._placed(Generator(PRESETS[config.preset]))
        self.ema = self._placed(Generator(PRESETS[config.preset])).requires_grad_(False)
        self.ema.load_state_dict(self.generator.state_dict())
        self.discriminator = self._placed(PatchDiscriminator())
        if config.confidence_only:
            self.generator.requires_grad_(False).confidence_decoder.requires_grad_(True)
        self._optimize("generator")
        self._optimize("discriminator", betas=(0.0, 0.9))
        self._perceptual = self._placed(PerceptualLoss()) if config.perceptual_weight > 0 else None
        # Several processes wait for each other between backward and step, and their host takes part in it.
        alone = self.device.startswith("cuda") and ranks.count == 1
        self._recorder: Recorder | None = CudaRecorder() if alone else None
        self._captured: dict[tuple[torch.Size, bool, bool], CapturedStep] = {}
        self._pass = torch.compile(network_pass, dynamic=False) if compiled else network_pass

    def train_step(self, x: Tensor, m: Tensor) -> dict[str, Tensor]:
        """One optimiser step on pictures x [B, 3, H, W] and holes m [B, 1, H, W]; returns losses as 0-d tensors."""
        config = self.config
        adversarial = config.adversarial_weight > 0 and self.samples >= config.adversarial_from
        perceptual = config.perceptual_weight > 0 and self.samples >= config.perceptual_from
        self._set_learning_rate()
        losses = self._computation(x, adversarial=adversarial, perceptual=perceptual)(x, m)
        self._end_step(self.ema, self.generator, len(x))
        return losses

    def _computation(self, x: Tensor, *, adversarial: bool, perceptual: bool) -> Callable[[Tensor, Tensor], Losses]:
        """What a step computes on inputs of this shape: captured where kernels would be waited for."""
        compute = partial(self._compute, adversarial=adversarial, perceptual=perceptual)
        if self._recorder is None:
            return compute
        key = x.shape, adversarial, perceptual
        if key not in self._captured:
            variants = LOOKS if perceptual else 1
            self._captured[key] = CapturedStep(compute, self._recorder, variants=variants)
        return self._captured[key]

    def _compute(self, x: Tensor, m: Tensor, *, adversarial: bool, perceptual: bool) -> Losses:
        config = self.config
        self._forget_gradients()
        y, c, hole = x * (1 - m), torch.zeros_like(m), m
        counts: Tensor | float = 1.0  # 0 for passes that change nothing
        # The perceptual loss costs as much as a pass: one of them has all of it, drawn anew for each step.
        looked_at = int(torch.randint(config.iterations, ())) if perceptual else None
        losses: Losses = {}
        for t in range(config.iterations):
            z = y * (1 - hole)
            with autocast(x.device):
                out = self._pass(self.generator, config, z, hole, x)
            loss = out.loss
            if t == looked_at:
                assert self._perceptual is not None
                with autocast(x.device):
                    difference = self._perceptual(out.g * m + x * (1 - m), x, m)
                losses[f"perceptual_{t + 1}"] = difference.detach()
                loss = loss + config.iterations * config.perceptual_weight * difference
            if adversarial:
                loss = loss + config.adversarial_weight * self._adversarial(out, z, hole, x, losses, t, counts)
            (counts * loss / config.iterations).backward()
            losses |= {f"l1_{t + 1}": out.l1, f"confidence_{t + 1}": out.confidence}
            with torch.no_grad():
                first = torch.full((1,), float(t == 0), device=x.device)
                y, after, c = update(y, hole, c, out.g.detach(), out.c.detach(), first)
            losses[f"hole_left_{t + 1}"] = after.sum() / m.sum()
            # Where nothing was trusted another pass would repeat this one; or nothing is left to fill.
            if not self.breaks:
                counts = counts * (after != hole).any() * after.any()
            elif torch.equal(after, hole) or not after.any():
                break
            hole = after
        self.ranks.average_gradients(self.generator)
        torch.nn.utils.clip_grad_norm_(self.generator.parameters(), config.max_gradient_norm)
        self._optimizers["generator"].step()
        if adversarial:
            self.ranks.average_gradients(self.discriminator)
            self._optimizers["discriminator"].step()
        return losses

    def _adversarial(
        self, out: Pass, z: Tensor, m: Tensor, x: Tensor, losses: dict[str, Tensor], t: int, counts: Tensor | float
    ) -> Tensor:
        """The hinge terms of Eq. 2 and 3; the gradient of Eq. 1 is left in the discriminator's parameters."""
        y = out.g * m + z
        d_loss = self._train_discriminator(x, y, share=counts / self.config.iterations)
        g_loss = self._hinge(y)
        losses |= {f"discriminator_{t + 1}": d_loss, f"hinge_{t + 1}": g_loss.detach()}
        return g_loss + self._hinge(y.detach() * out.c + x * (1 - out.c))

    def validate(self, pictures: Pictures, plan: Plan) -> dict[str, float]:
        return validate(self.ema, pictures, plan)

    def write_samples(self, path: Path, pictures: Pictures, plan: Plan) -> None:
        write_samples(path, self.ema, pictures, plan)

    def write_average(self, path: Path, header: dict[str, str]) -> None:
        save_generator(path, self.ema, preset=self.config.preset, training=header)
