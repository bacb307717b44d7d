"""Best weights of a run to a released file, with the confidence calibrated.

``python -m training.release --run runs/edge --data DATA --out training/weights/edge`` writes ``OUT.safetensors`` (FP16)
and ``OUT.json``, the facts that the model card quotes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from training.checkpoint import load_state
from training.data import Pictures, Plan, validation_plan
from training.masks import ObjectShapes
from training.model.network import PRESETS, Generator, count_macs
from training.model.weights import save_generator
from training.validate import validate

__all__ = ["calibrate", "main", "release"]

OFFSETS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5)


def shift_confidence(generator: Generator, offset: float) -> None:
    """Adds ``offset`` to the logit of every confidence, in place."""
    with torch.no_grad():
        generator.confidence_decoder.to_logit.conv.bias += offset


def calibrate(generator: Generator, pictures: Pictures, plan: Plan) -> dict[float, dict[str, float]]:
    """Validation scores for each of ``OFFSETS``, added to the confidence's logit; the generator is left as it was.

    An offset moves the share of the hole that the first iteration trusts, as lambda does, and leaves every later
    comparison of two confidences as it is. What is best for the loop's result shows only with the trained network.
    """
    scores = {}
    for offset in OFFSETS:
        shift_confidence(generator, offset)
        scores[offset] = validate(generator, pictures, plan)
        shift_confidence(generator, -offset)
    return scores


def release(run: Path, out: Path, pictures: Pictures, shapes: ObjectShapes) -> dict[str, Any]:
    """Writes the released weights of ``run``; returns the facts that were written beside them."""
    config = json.loads((run / "config.json").read_text())
    tensors, progress = load_state(run / "best.safetensors")
    generator = Generator(PRESETS[config["preset"]]).to(memory_format=torch.channels_last)
    generator.load_state_dict(tensors)
    plan = validation_plan(pictures, shapes, size=config["stages"][-1]["size"])
    scores = calibrate(generator, pictures, plan)
    offset = max(scores, key=lambda o: scores[o]["psnr_t4"])
    shift_confidence(generator, offset)
    out.parent.mkdir(parents=True, exist_ok=True)
    training = {"steps": str(int(progress["step"])), "minutes": f"{progress['minutes']:.1f}"}
    save_generator(out.with_suffix(".safetensors"), generator, preset=config["preset"], training=training)
    facts = {
        "parameters": sum(p.numel() for p in generator.parameters()),
        "gmac_per_step_256": round(count_macs(generator) / 1e9, 3),
        "device": config["device"],
        "steps": int(progress["step"]),
        "minutes": round(progress["minutes"], 1),
        "confidence_offset": offset,
        "validation": {str(o): {k: round(v, 4) for k, v in s.items()} for o, s in scores.items()},
        "config": config,
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a training run")
    parser.add_argument("--data", type=Path, required=True, help="folder the run was trained on")
    parser.add_argument("--out", type=Path, required=True, help="path of the released file, without an ending")
    parser.add_argument("--validation", type=int, default=400, help="pictures held out (default %(default)s)")
    options = parser.parse_args(argv)
    pictures = Pictures(options.data, validation=options.validation)
    facts = release(options.run, options.out, pictures, ObjectShapes(options.data / "objects.npz"))
    for offset, scores in facts["validation"].items():
        print(f"offset {offset:>5}  " + "  ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    print(f"wrote {options.out.with_suffix('.safetensors')} with offset {facts['confidence_offset']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
