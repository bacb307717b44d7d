"""Training of the guided upsampling network from twice as small results of a finished generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from iic_rt.resampling import PATCH
from training.config import UpsamplerConfig
from training.data import Pictures, Plan
from training.losses import (
    hole_mean,
    luminance,
    match_loss,
    patch_shapes,
    patch_textures,
)
from training.model.discriminator import PatchDiscriminator
from training.model.network import Generator
from training.model.upsampler import FACTOR, GuidedUpsampler
from training.model.weights import save_upsampler
from training.ranks import ALONE, Ranks
from training.trainer import Trainer
from training.validate import autocast, batches, hole_psnr, iterate, write_sheet

__all__ = ["UpsamplerTrainer", "laplacian_ratio", "low_resolution"]

PATCH_SIDE = PATCH * FACTOR  # pixels at high resolution


class Pass(NamedTuple):
    """What one pass of the network gives a training step."""

    loss: Tensor
    l1: Tensor
    match: Tensor
    image: Tensor  # [B, 3, H, W]


def low_resolution(
    generator: Generator, x: Tensor, m: Tensor, iterations: int, factor: int = FACTOR
) -> tuple[Tensor, Tensor]:
    """The loop's result at 1 / ``factor`` of the size, and its hole: what the ``prepare`` graph would hand it."""
    low, low_m = F.avg_pool2d(x, factor), F.max_pool2d(m, factor)
    with torch.no_grad(), autocast(x.device):
        for y, _, _ in iterate(generator, low * (1 - low_m), low_m, iterations):
            low = y
    return low.clamp(-1, 1), low_m


def network_pass(
    model: GuidedUpsampler, config: UpsamplerConfig, x: Tensor, m: Tensor, y: Tensor, low_m: Tensor
) -> Pass:
    """The network and every loss but the adversarial one, in one function so that a compiler may fuse them."""
    out = model(x, m, y, low_m)
    error = (out.image - x).abs().mean(1, keepdim=True)
    l1 = hole_mean(error, m)
    looks = torch.cat((patch_textures(x, PATCH_SIDE), patch_shapes(y, PATCH)), 2)
    match = match_loss(out.share, looks, F.avg_pool2d(m, PATCH_SIDE).flatten(1))
    known = (error * (1 - m)).mean()
    loss = config.hole_weight * l1 + config.known_weight * known + config.match_weight * match
    return Pass(loss, l1.detach(), match.detach(), out.image)


def laplacian_ratio(y: Tensor, x: Tensor, m: Tensor) -> Tensor:
    """Mean absolute Laplacian of the luminance in the hole, relative to the truth's: images [B, 3, H, W] -> [B]."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device=x.device)[None, None]

    def energy(image: Tensor) -> Tensor:
        grey = F.pad(luminance(image), (1, 1, 1, 1), mode="replicate")
        return (F.conv2d(grey, kernel).abs() * m).sum((1, 2, 3))

    return energy(y * m + x * (1 - m)) / energy(x).clamp_min(1e-6)


class UpsamplerTrainer(Trainer):
    """The upsampler, its average and its discriminator; the generator only serves, its weights stay."""

    NETWORKS = ("upsampler", "ema", "discriminator")
    SCORE = "match"
    config: UpsamplerConfig

    def __init__(
        self,
        config: UpsamplerConfig,
        generator: Generator,
        *,
        device: str = "cpu",
        compiled: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(config, device=device, ranks=ranks)
        self._generator = self._placed(generator).requires_grad_(False)
        self.upsampler = self._placed(GuidedUpsampler())
        self.ema = self._placed(GuidedUpsampler()).requires_grad_(False)
        self.ema.load_state_dict(self.upsampler.state_dict())
        self.discriminator = self._placed(PatchDiscriminator(config.discriminator_width))
        self._optimize("upsampler")
        self._optimize("discriminator", betas=(0.0, 0.9))
        self._pass = torch.compile(network_pass, dynamic=False) if compiled else network_pass

    def train_step(self, x: Tensor, m: Tensor) -> dict[str, Tensor]:
        config = self.config
        adversarial = config.adversarial_weight > 0 and self.samples >= config.adversarial_from
        self._set_learning_rate()
        self._forget_gradients()
        y, low_m = low_resolution(self._generator, x, m, config.iterations)
        with autocast(x.device):
            out = self._pass(self.upsampler, config, x, m, y, low_m)
        losses = {"l1": out.l1, "match": out.match}
        loss = out.loss
        if adversarial:
            made = out.image * m + x * (1 - m)
            losses["discriminator"] = self._train_discriminator(x, made)
            hinge = self._hinge(made)
            losses["hinge"] = hinge.detach()
            loss = loss + config.adversarial_weight * hinge
        loss.backward()
        self.ranks.average_gradients(self.upsampler)
        torch.nn.utils.clip_grad_norm_(self.upsampler.parameters(), config.max_gradient_norm)
        self._optimizers["upsampler"].step()
        if adversarial:
            self.ranks.average_gradients(self.discriminator)
            self._optimizers["discriminator"].step()
        self._end_step(self.ema, self.upsampler, len(x))
        return losses

    @torch.no_grad()
    def _results(self, pictures: Pictures, plan: Plan, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Pass]]:
        """Truth, hole, the loop's result enlarged, and what the upsampler gives, batch by batch."""
        for part in batches(plan, size):
            x, m = pictures.crops(part)
            y, low_m = low_resolution(self._generator, x, m, 4)
            plain = F.interpolate(y, scale_factor=float(FACTOR), mode="bicubic")
            out = network_pass(self.ema, self.config, x, m, y, low_m)
            yield x, m, plain * m + x * (1 - m), out._replace(image=out.image * m + x * (1 - m))

    def validate(self, pictures: Pictures, plan: Plan) -> dict[str, float]:
        """PSNR (dB) and Laplacian ratio of the result and of the plain enlargement, and how well textures fit.

        ``match`` is the negative matching loss, ``texture`` the negative squared distance of the textures of result
        and truth: PSNR alone would choose the weights that copy least.
        """
        scores: dict[str, list[Tensor]] = {}
        for x, m, plain, out in self._results(pictures, plan, 16):
            y = out.image
            difference = (patch_textures(y, PATCH_SIDE) - patch_textures(x, PATCH_SIDE)).square().mean(2)
            inside = F.avg_pool2d(m, PATCH_SIDE).flatten(1)
            values = {
                "match": -out.match.expand(len(x)),
                "texture": -(difference * inside).sum(1) / inside.sum(1),
                "psnr": hole_psnr(y, x, m),
                "psnr_plain": hole_psnr(plain, x, m),
                "sharpness": laplacian_ratio(y, x, m),
                "sharpness_plain": laplacian_ratio(plain, x, m),
            }
            for name, value in values.items():
                scores.setdefault(name, []).append(value)
        return {name: float(torch.cat(values).mean()) for name, values in scores.items()}

    def write_samples(self, path: Path, pictures: Pictures, plan: Plan) -> None:
        """One row a picture: input, the plain enlargement, the result, the truth."""
        x, m, plain, out = next(self._results(pictures, plan, 10))
        write_sheet(path, [x * (1 - m), plain, out.image, x])

    def write_average(self, path: Path, header: dict[str, str]) -> None:
        save_upsampler(path, self.ema, training=header)
