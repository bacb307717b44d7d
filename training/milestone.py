"""Averaged weights of an unfinished run in one small file, so that little is lost when its folder is.

``python -m training.milestone --run runs/campaign --out training/weights/campaign.safetensors``
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from training.checkpoint import load_state
from training.generator_trainer import GeneratorTrainer
from training.model.network import PRESETS, Generator, GeneratorConfig
from training.model.weights import WeightsError, load_generator, load_upsampler, save_generator
from training.upsampler_trainer import UpsamplerTrainer

__all__ = ["begin_from", "main", "write_milestone"]


def write_milestone(run: Path, out: Path) -> dict[str, str]:
    """Writes the average of ``run`` as FP16; returns the header: preset, step, pictures seen, minutes."""
    preset = json.loads((run / "config.json").read_text())["preset"]
    tensors, progress = load_state(run / "state.safetensors")
    generator = Generator(PRESETS[preset])
    generator.load_state_dict({k.removeprefix("ema."): v for k, v in tensors.items() if k.startswith("ema.")})
    header = {name: str(progress[name]) for name in ("step", "samples", "minutes")}
    save_generator(out, generator, preset=preset, training=header)
    return header


def begin_from(path: Path, trainer: GeneratorTrainer | UpsamplerTrainer) -> None:
    """Puts a milestone's weights and its count of pictures into a trainer that has not begun.

    A decoder that is trained alone counts from 0: its learning rate is not that of the network's end. So does an
    upsampling network, which is trained again behind every new generator; its softmax keeps the scale of training.
    The optimiser's moments are not in it, and come back within some hundred steps.
    A preset with more attention blocks gives the same images at first: an untrained block changes nothing.

    Raises:
        WeightsError: the file cannot be used, or is of another preset that has not just fewer attention blocks.
    """
    if isinstance(trainer, UpsamplerTrainer):
        weights = load_upsampler(path)[0].state_dict()
        weights["scale"] = trainer.upsampler.state_dict()["scale"].clone()
        for upsampler in (trainer.upsampler, trainer.ema):
            upsampler.load_state_dict(weights)
        return
    generator, header = load_generator(path)
    if "samples" not in header or not is_deeper(trainer.generator.config, generator.config):
        raise WeightsError(f"{path} is no milestone that preset {trainer.config.preset!r} could begin from")
    for network in (trainer.generator, trainer.ema):
        network.load_state_dict(generator.state_dict(), strict=False)  # what is missing are the blocks more
    if not trainer.config.confidence_only:
        trainer.step, trainer.samples = int(float(header["step"])), int(float(header["samples"]))


def is_deeper(after: GeneratorConfig, before: GeneratorConfig) -> bool:
    """Whether ``after`` is ``before`` with as many attention blocks or more; with none there is nothing around them."""
    new, old = asdict(after), asdict(before)
    for encoder in ("coarse", "fine"):
        if new[encoder] and old[encoder]:
            blocks, fewer = new[encoder].pop("attention_blocks"), old[encoder].pop("attention_blocks")
            if blocks != fewer and not blocks > fewer > 0:
                return False
    return bool(new == old)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.milestone", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(argv)
    header = write_milestone(options.run, options.out)
    print(f"wrote {options.out}: " + ", ".join(f"{name} {value}" for name, value in header.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
