"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.manifest import DEFAULT_BUNDLE
from iic_rt.masks import LARGEST_GROWTH, Grow
from iic_rt.options import InpaintOptions
from iic_rt.pool import threads_each

__all__ = [
    "VIDEO_ITERATIONS",
    "add_filling",
    "add_mask_hole",
    "fill_options",
    "inpainter_settings",
    "number",
    "share_threads",
    "whole",
]

PRECISIONS = ("fp32", "fp16", "bf16")
VIDEO_ITERATIONS = 1  # further ones take time and change nothing that shows: docs/video-quality.md


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Reads whole numbers of a range."""
    allowed = f"from {least} up" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {allowed}")
        return value

    return read


def number(*, above: float | None = None, least: float = 0) -> Callable[[str], float]:
    """Reads numbers above ``above``, or from ``least`` up."""
    allowed = f"from {least:g} up" if above is None else f"above {above:g}"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (value >= least if above is None else value > above):
            raise argparse.ArgumentTypeError(f"{text!r} is no number {allowed}")
        return value

    return read


def grow(text: str) -> Grow:
    if text == "auto":
        return "auto"
    try:
        return whole(0, LARGEST_GROWTH)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, and not 'auto'") from None


def add_filling(parser: argparse._ActionsContainer, *, iterations: int = InpaintOptions().iterations) -> None:
    """How holes are filled, and by what.

    Args:
        parser: takes the options.
        iterations: the default of ``--iterations``.
    """
    defaults = InpaintOptions()
    parser.add_argument(
        "--iterations",
        type=whole(1),
        default=iterations,
        metavar="N",
        help="most iterations (default %(default)s)",
    )
    parser.add_argument(
        "--grow",
        type=grow,
        default=defaults.grow,
        metavar="N|auto",
        help="grow the hole beyond the mask by N pixels, or by each object's size (default %(default)s)",
    )
    parser.add_argument(
        "--no-upsample", action="store_true", help="run the loop at full resolution instead: slower and smoother"
    )
    parser.add_argument(
        "--budget-ms", type=number(above=0), metavar="X", help="start no iteration that would end later"
    )
    parser.add_argument("--backend", choices=("auto", *BACKENDS), default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, help="to compute in; the backend's default otherwise")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE, help="shipped name or folder (default %(default)s)")
    parser.add_argument("--threads", type=whole(1), metavar="N", help="CPU threads")


def add_mask_hole(parser: argparse._ActionsContainer) -> None:
    """Which end of masks is removed."""
    parser.add_argument(
        "--mask-hole", choices=("white", "black"), default="white", help="which end of the mask is removed"
    )


def fill_options(arguments: argparse.Namespace, **more: Any) -> InpaintOptions:
    """The options that :func:`add_filling` asks for.

    Raises:
        InputError: one of them is out of range.
    """
    return InpaintOptions(
        iterations=arguments.iterations,
        budget_ms=arguments.budget_ms,
        grow=arguments.grow,
        channel_order="bgr",
        upsample=not arguments.no_upsample,
        **more,
    )


def inpainter_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Arguments of :class:`iic_rt.Inpainter` other than its options."""
    return {name: getattr(arguments, name) for name in ("bundle", "backend", "precision", "threads")}


def share_threads(arguments: argparse.Namespace) -> None:
    """Gives each of several workers its part of the cores, unless ``--threads`` says what each has."""
    if arguments.threads is None:
        arguments.threads = threads_each(arguments.workers)
