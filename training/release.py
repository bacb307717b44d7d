"""Best weights of a run to a released file: ``python -m training.release --run runs/edge --out training/weights/edge``.

Writes ``OUT.safetensors`` (FP16) and ``OUT.json``, the facts of the run that the model card quotes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from training.checkpoint import load_state
from training.model.network import PRESETS, Generator, count_macs
from training.model.weights import save_generator

__all__ = ["main", "release"]


def release(run: Path, out: Path) -> dict[str, object]:
    """Converts ``run``'s best EMA weights; returns the facts that were written beside them."""
    config = json.loads((run / "config.json").read_text())
    tensors, progress = load_state(run / "best.safetensors")
    generator = Generator(PRESETS[config["preset"]])
    generator.load_state_dict(tensors)
    out.parent.mkdir(parents=True, exist_ok=True)
    training = {"steps": str(int(progress["step"])), "minutes": f"{progress['minutes']:.1f}"}
    save_generator(out.with_suffix(".safetensors"), generator, preset=config["preset"], training=training)
    facts = {
        "parameters": sum(p.numel() for p in generator.parameters()),
        "device": config["device"],
        "gmac_per_step_256": round(count_macs(generator) / 1e9, 3),
        "best": progress,
        "config": config,
    }
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    return facts


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.release", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a training run")
    parser.add_argument("--out", type=Path, required=True, help="path of the released file, without an ending")
    options = parser.parse_args(argv)
    print(json.dumps(release(options.run, options.out), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
