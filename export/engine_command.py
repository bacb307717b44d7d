"""``python -m export engine``: a bundle to a bundle with TensorRT engines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from export.accuracy import EXAMPLES, load_pictures, show_accuracy
from export.bundle import ParityError
from export.engine_bundle import write_engine_bundle
from export.recipes import PRECISIONS, RecipeError, read_recipe
from iic_rt.bundle.manifest import load_bundle
from iic_rt.engines.engine_library import TARGETS, open_library
from iic_rt.errors import BackendError, IICError

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(argv)
    names = ("target", "precision", "sides", "working_size", "workspace_mib", "optimization_level")
    names += ("hardware_compatible", "version_compatible")
    changes = {name: value for name in names if (value := getattr(options, name)) is not None}
    try:
        recipe = read_recipe(options.recipe, changes)
        library = open_library(recipe.target)
        made = write_engine_bundle(
            load_bundle(options.bundle).folder,
            options.out,
            recipe,
            library,
            compute_capability=_compute_capability(recipe.target),
            pictures=load_pictures(options.pictures),
            progress=_show if sys.stderr.isatty() else None,
        )
    except ParityError as error:
        show_accuracy(error.report)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (RecipeError, IICError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}: {len(made.engines)} engines of {library.target} {library.version}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export engine", description=__doc__)
    parser.add_argument("--bundle", default="edge", help="folder, or name of a shipped bundle (default %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; replaced as a whole")
    parser.add_argument("--recipe", type=Path, help="JSON file in engines/; the options below change its values")
    parser.add_argument("--target", choices=TARGETS, help="the library the engines are for")
    parser.add_argument("--precision", choices=PRECISIONS, help="default fp16")
    parser.add_argument("--sides", type=_sides, metavar="N,N", help="of regions in pixels")
    parser.add_argument("--working-size", type=int, metavar="N", help="of the loop; the bundle's by default")
    parser.add_argument("--workspace-mib", type=int, metavar="N", help="most memory a layer may use while it runs")
    parser.add_argument("--optimization-level", type=int, choices=range(6), help="5 builds longest")
    yes_no = argparse.BooleanOptionalAction
    parser.add_argument("--hardware-compatible", action=yes_no, help="for every device from Ampere on (tensorrt)")
    parser.add_argument("--version-compatible", action=yes_no, help="for later TensorRT of the same major version")
    parser.add_argument("--pictures", type=Path, default=EXAMPLES, help="of the accuracy gate; as `python -m export`")
    return parser


def _sides(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _compute_capability(target: str) -> str | None:
    """Of the device here; None where there is none, which TensorRT-RTX does without."""
    from iic_rt.cuda.driver import Driver, load_api

    try:
        driver = Driver(load_api())
    except BackendError:
        if target == "tensorrt-rtx":
            return None
        raise
    try:
        return driver.device.compute_capability
    finally:
        driver.close()


def _show(phase: str, done: int, steps: int) -> None:
    print(f"\r\033[K{phase}: {done}/{steps}", end="\r", file=sys.stderr, flush=True)
