"""Arguments of the command, and errors as one line each."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2

from iic_rt._version import __version__
from iic_rt.bundle.manifest import DEFAULT_BUNDLE
from iic_rt.cli.arguments import add_filling, add_mask_hole, number, whole
from iic_rt.cli.ending import status_of
from iic_rt.cli.engines import add_engines
from iic_rt.cli.info import run_info
from iic_rt.cli.messages import say, without_opencv
from iic_rt.cli.remove import run_remove
from iic_rt.cli.serve import add_serve
from iic_rt.cli.video import add_video
from iic_rt.errors import IICError
from iic_rt.image_io import MAX_MEGAPIXELS
from iic_rt.no_memory import is_out_of_memory

__all__ = ["main", "told"]

EPILOG = """examples:
  iic-rt remove photo.jpg mask.png -o result.png
  iic-rt remove photos/ masks/ -o results/            every image with the mask of the same name
  iic-rt remove photos/ masks/ -o results/ --workers 4
  iic-rt remove photo.jpg mask.png -o r.png --iterations-strip strip.png --confidence confidence.png
  iic-rt remove photo.jpg mask.png -o r.png --avoid person.png     fill the hole without a trace of the person beside it
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="iic-rt", description="Removes objects from images and video.")
    parser.add_argument("--version", action="version", version=f"iic-rt {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    remove = commands.add_parser(
        "remove",
        help="remove what a mask marks",
        description="Removes what MASK marks from IMAGE. Both may be folders.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    remove.add_argument("image", type=Path, metavar="IMAGE", help="an image, or a folder of images")
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
        type=number(above=0),
        default=MAX_MEGAPIXELS,
        metavar="N",
        help="refuse larger images before they are decoded (default %(default)g)",
    )
    remove.add_argument(
        "--workers",
        type=whole(1),
        default=1,
        metavar="N",
        help="of a folder, images filled at once (default %(default)s)",
    )
    remove.add_argument(
        "--drop-gps", action="store_true", help="leave out of the result where the image was taken; the rest is kept"
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
    """What ``iic_rt.engines`` logs at INFO goes to stderr: building takes minutes, which a person should know.

    OpenCV says nothing.
    """
    log, handler = logging.getLogger("iic_rt.engines"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("iic-rt: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with without_opencv():
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0; 1 when an image or the set-up failed; 128 and the number of the signal that ended it. Wrong arguments are a
        SystemExit with 2, of argparse.
    """
    try:
        arguments = build_parser().parse_args(argv)
        with told():
            return int(arguments.run(arguments))
    except KeyboardInterrupt as stop:
        say("interrupted; images written so far are complete")
        return status_of(stop)
    except IICError as error:
        say(f"error: {error}")
    except BrokenPipeError:  # nobody reads any more what is printed
        return 1
    except OSError as error:
        place = "standard output" if error.filename is None else error.filename
        say(f"error: {place}: {error.strerror or error}")
    except (MemoryError, cv2.error) as error:
        if not is_out_of_memory(error):
            raise
        say("error: memory ran out; take smaller images or fewer --workers")
    return 1
