"""``python -m export``: trained weights to a bundle the runtime loads; ``python -m export engine``: to engines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from export import engine_command
from export.accuracy import EXAMPLES, load_pictures, show_accuracy
from export.bundle import ParityError, write_bundle
from training.model.weights import WeightsError


def show(report: dict[str, Any]) -> None:
    print(f"{'mask':<22}{'prepare':>10}{'reference':>11}{'network':>10}{'flips':>9}{'free run':>10}")
    for row in report["rows"]:
        print(
            f"{row['mask']:<22}{row['prepare']:>10.1e}{row['reference']:>11.1e}{row['network']:>10.1e}"
            f"{100 * row['flips']:>8.3f}%{row['free']:>10.1e}"
        )
    upsample = report["upsample"]
    for row in upsample["factors"]:
        for precision in ("fp32", "fp16"):
            shown = ", ".join(f"{name} {value:.1e}" for name, value in row[precision].items())
            print(f"upsample x{row['factor']:<4} {precision}: {shown}")
    show_accuracy(report["accuracy"])
    print(f"parity {'passed' if report['passed'] else 'FAILED'} (seed {report['seed']}, T = 1..{report['iterations']})")


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["engine"]:
        return engine_command.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file written by `training.release`")
    parser.add_argument(
        "--upsampler", type=Path, help="weights of the upsampling network; upsampler.safetensors beside the others"
    )
    parser.add_argument("--card", type=Path, help="model card; the weights' name with .md by default")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; replaced as a whole")
    parser.add_argument("--seed", type=int, help="of the parity inputs; fresh ones by default")
    parser.add_argument(
        "--pictures",
        type=Path,
        default=EXAMPLES,
        help="that FP16 and FP32 must fill alike: a folder with NAME-mask.png beside each picture, or a tar of images/ "
        "and masks/; examples/ by default",
    )
    options = parser.parse_args(arguments)
    card = options.card or options.weights.with_suffix(".md")
    upsampler = options.upsampler or options.weights.with_name("upsampler.safetensors")
    if not card.is_file():
        parser.error(f"no model card at {card}; name it with --card")
    seed = options.seed if options.seed is not None else int(np.random.SeedSequence().entropy) % 2**32  # type: ignore[arg-type]
    try:
        pictures = load_pictures(options.pictures)
        report = write_bundle(options.weights, upsampler, card, options.out, seed=seed, pictures=pictures)
    except ParityError as error:
        show(error.report)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except WeightsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(report)
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
