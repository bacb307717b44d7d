"""Makes the README's pictures: ``python -m benchmarks.pictures``; with ``--hires hires.tar`` the cut-outs too."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import load_cases
from iic_rt import Inpainter, InpaintOptions
from iic_rt.image_io import read_image, read_mask, write_image

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
EXAMPLES = ("wren", "dune")
CONTROL = ("avoid", "prefer")  # masks of the otters
CUT_OUTS = {"01": (1180, 1890), "02": (1900, 1350), "03": (1080, 900)}  # left and top of a window; all are CC0
WIDTH, GAP, WINDOW = 720, 8, 480  # pixels
RED, YELLOW, GREEN = (60, 60, 230), (40, 200, 240), (80, 180, 60)  # BGR

Pixels = NDArray[np.uint8]


def outlined(image: Pixels, mask: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """A copy of the picture with the mask's outline drawn."""
    contours, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = image.copy()
    cv2.drawContours(drawn, contours, -1, colour, max(2, image.shape[1] // 500), cv2.LINE_AA)
    return drawn


def row(pictures: list[Pixels], width: int | None) -> Pixels:
    """Pictures beside each other with gaps between them, shrunk to ``width`` each unless it is None."""
    if width is not None:
        size = (width, round(pictures[0].shape[0] * width / pictures[0].shape[1]))
        pictures = [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.uint8) for p in pictures]
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)


def sheet(rows: list[Pixels]) -> Pixels:
    """Rows of equal width below each other."""
    gap = np.full((GAP, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for r in rows for part in (r, gap)][:-1])


def before_after(inpainter: Inpainter) -> Pixels:
    rows = []
    for name in EXAMPLES:
        image, mask = read_image(ROOT / f"examples/{name}.jpg"), read_mask(ROOT / f"examples/{name}-mask.png")
        rows.append(row([outlined(image, mask, RED), inpainter.inpaint(image, mask).image], WIDTH))
    return sheet(rows)


def control(inpainter: Inpainter) -> Pixels:
    rows = []
    image, mask = read_image(ROOT / "examples/otters.jpg"), read_mask(ROOT / "examples/otters-mask.png")
    free = inpainter.inpaint(image, mask).image
    for kind in CONTROL:
        marked = read_mask(ROOT / f"examples/otters-{kind}.png")
        drawn = outlined(outlined(image, marked, YELLOW if kind == "avoid" else GREEN), mask, RED)
        led = inpainter.inpaint(image, mask, **{kind: marked}).image
        rows.append(row([drawn, free, led], WIDTH * 2 // 3))
    return sheet(rows)


def cut_outs(inpainter: Inpainter, path: Path) -> Pixels:
    """Windows at 100 %: the photo, the loop's result enlarged, the upsampled result."""
    cases = {case.name: case for case in load_cases(path) if case.name in CUT_OUTS}
    rows = []
    for name, (left, top) in CUT_OUTS.items():
        image = cv2.cvtColor(cases[name].image, cv2.COLOR_RGB2BGR)
        result = inpainter.inpaint(
            image, cases[name].hole, options=InpaintOptions(channel_order="bgr", outputs=("history",))
        )
        window = slice(top, top + WINDOW), slice(left, left + WINDOW)
        rows.append(row([p[window] for p in (image, result.history[-1].image, result.image)], None))
    return sheet(rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder (default: docs)")
    parser.add_argument("--hires", type=Path, help="hires.tar, for the cut-outs at full resolution")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    with Inpainter(backend="onnxruntime", options=InpaintOptions(channel_order="bgr")) as inpainter:
        write_image(options.out / "before-after.jpg", before_after(inpainter))
        write_image(options.out / "control.jpg", control(inpainter))
        if options.hires:
            write_image(options.out / "upsampling.jpg", cut_outs(inpainter, options.hires))
    return 0


if __name__ == "__main__":
    sys.exit(main())
