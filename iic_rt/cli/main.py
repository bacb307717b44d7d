"""Arguments of the command, and errors as one line each."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from iic_rt._version import __version__
from iic_rt.bundle.manifest import DEFAULT_BUNDLE
from iic_rt.cli.arguments import add_filling, add_mask_hole
from iic_rt.cli.engines import add_engines
from iic_rt.cli.info import run_info
from iic_rt.cli.remove import run_remove
from iic_rt.cli.serve import add_serve
from iic_rt.cli.video import add_video
from iic_rt.errors import IICError
from iic_rt.image_io import MAX_MEGAPIXELS

__all__ = ["main", "told"]

EPILOG = """examples:
  iic-rt remove photo.jpg mask.png -o result.png
  iic-rt remove photos/ masks/ -o results/            every picture with the mask of the same name
  iic-rt remove photos/ masks/ -o results/ --workers 4
  iic-rt remove photo.jpg mask.png -o r.png --iterations-strip strip.png --confidence confidence.png
  iic-rt remove photo.jpg mask.png -o r.png --avoid person.png     fill the hole without a trace of the person beside it
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="iic-rt", description="Removes objects from pictures and video.")
    parser.add_argument("--version", action="version", version=f"iic-rt {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    remove = commands.add_parser(
        "remove",
        help="remove what a mask marks",
        description="Removes what MASK marks from IMAGE. Both may be folders.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    remove.add_argument("image", type=Path, metavar="IMAGE", help="a picture, or a folder of pictures")
    remove.add_argument("mask", type=Path, metavar="MASK", help="its mask, white = remove, or a folder of masks")
    remove.add_argument("-o", "--out", type=Path, required=True, help="where the result goes: a file, or a folder")
    add_mask_hole(remove)
    add_filling(remove)
    remove.add_argument("--avoid", type=Path, metavar="MASK", help="white = never copy from here; a file or a folder")
    remove.add_argument("--prefer", type=Path, metavar="MASK", help="white = copy from here only; a file or a folder")
    remove.add_argument("--confidence", type=Path, metavar="FILE", help="write the result tinted by confidence")
    remove.add_argument("--iterations-strip", type=Path, metavar="FILE", help="write every iteration side by side")
    remove.add_argument(
        "--max-megapixels",
        type=float,
        default=MAX_MEGAPIXELS,
        metavar="N",
        help="refuse larger images before they are decoded (default %(default)g)",
    )
    remove.add_argument(
        "--workers", type=int, default=1, metavar="N", help="of a folder, images filled at once (default %(default)s)"
    )
    remove.add_argument("--json", action="store_true", help="print what was done as one JSON object")
    remove.set_defaults(run=run_remove)

    add_video(commands)
    add_serve(commands)

    info = commands.add_parser("info", help="versions, backends and the bundle")
    info.add_argument("--bundle", default=DEFAULT_BUNDLE, help="shipped name or folder (default %(default)s)")
    info.add_argument("--json", action="store_true", help="print it as one JSON object")
    info.set_defaults(run=run_info)

    add_engines(commands)
    return parser


@contextmanager
def told() -> Iterator[None]:
    """What ``iic_rt.engines`` logs at INFO goes to stderr: building takes minutes, which a person should know."""
    log, handler = logging.getLogger("iic_rt.engines"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("iic-rt: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, 1 when a picture or the set-up failed, or 2 for wrong arguments (argparse)."""
    arguments = build_parser().parse_args(argv)
    try:
        with told():
            return int(arguments.run(arguments))
    except IICError as error:
        print(f"iic-rt: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("iic-rt: interrupted; pictures written so far are complete", file=sys.stderr)
        return 130
