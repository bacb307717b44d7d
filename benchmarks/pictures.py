"""Makes the README's before/after picture from the examples: ``python -m benchmarks.pictures``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from iic_rt import Inpainter, InpaintOptions
from iic_rt.images import read_image, read_mask, write_image

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
EXAMPLES = ("wren", "dune")
WIDTH, GAP = 720, 8  # pixels
OUTLINE = (60, 60, 230)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "before-after.jpg")
    options = parser.parse_args(argv)
    rows = []
    with Inpainter(options=InpaintOptions(channel_order="bgr")) as inpainter:
        for name in EXAMPLES:
            image = read_image(ROOT / "examples" / f"{name}.jpg")
            mask = read_mask(ROOT / "examples" / f"{name}-mask.png")
            result = inpainter.inpaint(image, mask).image
            contours, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            before = image.copy()
            cv2.drawContours(before, contours, -1, OUTLINE, 2, cv2.LINE_AA)
            size = (WIDTH, round(image.shape[0] * WIDTH / image.shape[1]))
            small = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (before, result)]
            gap = np.full((size[1], GAP, 3), 255, np.uint8)
            rows += [
                np.concatenate([small[0], gap, small[1]], axis=1),
                np.full((GAP, 2 * WIDTH + GAP, 3), 255, np.uint8),
            ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_image(options.out, np.concatenate(rows[:-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
