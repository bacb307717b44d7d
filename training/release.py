"""Best weights of a run to a released file; of the upsampler's, with the scale of its softmax chosen.

``python -m training.release --run runs/edge --data DATA --out training/weights/edge`` writes ``OUT.safetensors`` (FP16)
and ``OUT.json``, the facts that the model card quotes. For a run of the upsampler name the generator it was trained
behind: ``--upsampler training/weights/edge.safetensors``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from iic_rt.bench.record import write_record
from training.checkpoint import load_state
from training.config import UpsamplerConfig
from training.data import Pictures, validation_plan
from training.masks import ObjectShapes
from training.model.network import PRESETS, Generator, count_macs
from training.model.weights import load_generator, save_generator, save_upsampler
from training.upsampler_trainer import UpsamplerTrainer
from training.validate import validate

__all__ = ["main", "release", "release_upsampler"]

SCALES = (30.0, 60.0, 90.0, 120.0, 180.0)  # of the softmax; it is trained with 60


def release(run: Path, out: Path, pictures: Pictures, shapes: ObjectShapes) -> dict[str, Any]:
    """Writes the released weights of ``run``; returns the facts that were written beside them."""
    config = json.loads((run / "config.json").read_text())
    tensors, progress = load_state(run / "best.safetensors")
    generator = Generator(PRESETS[config["preset"]]).to(memory_format=torch.channels_last)
    generator.load_state_dict(tensors)
    plan = validation_plan(pictures, shapes, size=config["stages"][-1]["size"])
    out.parent.mkdir(parents=True, exist_ok=True)
    training = {"steps": str(int(progress["step"])), "minutes": f"{progress['minutes']:.1f}"}
    save_generator(out.with_suffix(".safetensors"), generator, preset=config["preset"], training=training)
    facts = {
        "parameters": sum(p.numel() for p in generator.parameters()),
        "gmac_per_step_256": round(
            count_macs(generator, torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)) / 1e9, 3
        ),
        "device": config["device"],
        "steps": int(progress["step"]),
        "samples": int(progress["samples"]),
        "minutes": round(progress["minutes"], 1),
        "validation": {name: round(score, 4) for name, score in validate(generator, pictures, plan).items()},
        "config": config,
    }
    write_record(out.with_suffix(".json"), facts)
    return facts


def release_upsampler(
    run: Path, out: Path, generator: Generator, pictures: Pictures, shapes: ObjectShapes
) -> dict[str, Any]:
    """Writes the released weights of an upsampler's ``run``; returns the facts that were written beside them.

    The scale is the one whose textures fit best on the validation pictures: training with a sharper softmax would
    give most patches no gradient.
    """
    config = json.loads((run / "config.json").read_text())
    tensors, progress = load_state(run / "best.safetensors")
    trainer = UpsamplerTrainer(UpsamplerConfig(samples=1, preset=config["preset"]), generator)
    upsampler = trainer.ema
    upsampler.load_state_dict(tensors)
    plan = validation_plan(pictures, shapes, size=config["stages"][-1]["size"])
    scores = {}
    for scale in SCALES:
        upsampler.scale.fill_(scale)
        scores[scale] = trainer.validate(pictures, plan)
    chosen = max(scores, key=lambda scale: scores[scale]["texture"])
    upsampler.scale.fill_(chosen)
    out.parent.mkdir(parents=True, exist_ok=True)
    training = {"steps": str(int(progress["step"])), "minutes": f"{progress['minutes']:.1f}"}
    save_upsampler(out.with_suffix(".safetensors"), upsampler, training=training)
    similarity = count_macs(upsampler.similarity, torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
    facts = {
        "parameters": sum(p.numel() for p in upsampler.parameters()),
        "gmac": round(similarity / 1e9, 3),
        "device": config["device"],
        "steps": int(progress["step"]),
        "minutes": round(progress["minutes"], 1),
        "scale": chosen,
        "validation": {str(scale): {k: round(v, 5) for k, v in s.items()} for scale, s in scores.items()},
        "config": config,
    }
    write_record(out.with_suffix(".json"), facts)
    return facts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a training run")
    parser.add_argument("--data", type=Path, required=True, help="folder the run was trained on")
    parser.add_argument("--out", type=Path, required=True, help="path of the released file, without an ending")
    parser.add_argument("--upsampler", type=Path, metavar="GENERATOR", help="the run is the upsampler's behind these")
    parser.add_argument("--validation", type=int, default=400, help="pictures held out (default %(default)s)")
    options = parser.parse_args(argv)
    pictures = Pictures(options.data, cache=options.run.parent, validation=options.validation)
    shapes = ObjectShapes(options.data / "objects.npz")
    if options.upsampler:
        generator, _ = load_generator(options.upsampler)
        facts = release_upsampler(options.run, options.out, generator, pictures, shapes)
        scores = {f"scale {scale}": row for scale, row in facts["validation"].items()}
        chosen = f" with scale {facts['scale']}"
    else:
        facts = release(options.run, options.out, pictures, shapes)
        scores, chosen = {"validation": facts["validation"]}, ""
    for name, row in scores.items():
        print(f"{name:<12}" + "  ".join(f"{key} {score:.3f}" for key, score in row.items()))
    print(f"wrote {options.out.with_suffix('.safetensors')}{chosen}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
