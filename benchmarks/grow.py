"""How far the hole should be grown beyond masks of real objects: results at 0, 3, 6 pixels and "auto", side by side.

``python -m benchmarks.grow --hires hires.tar --video video.tar --out FOLDER`` writes one sheet an object, cut-outs at
100 %. There is no truth behind a real object: the sheets are to be looked at. Beside them stands the *rim*, the mean
colour step (of 255) across the border of the mask as drawn, relative to the same step in the input.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import load_cases
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bundle.manifest import DEFAULT_BUNDLE
from iic_rt.image_io import write_image
from iic_rt.masks import Grow

__all__ = ["main", "rim"]

Pixels = NDArray[np.uint8]

GROWTHS: tuple[Grow, ...] = (0, 3, 6, "auto")
LONGEST = 1600  # pixels of the longer side of a photograph, as people share them
FRAMES = (0, 20, 40)  # of each sequence
WINDOW = 420  # pixels


def video_cases(path: Path) -> list[tuple[str, Pixels, Pixels]]:
    """Name, frame and tight mask of some frames of every sequence."""
    cases = []
    with tarfile.open(path) as tar:
        names = sorted(tar.getnames())
        for sequence in sorted({n.split("/")[0] for n in names if "/frames/" in n}):
            frames = [n for n in names if n.startswith(f"{sequence}/frames/")]
            for i in FRAMES:
                name = frames[min(i, len(frames) - 1)]
                content = [name, name.replace("/frames/", "/masks/").replace(".jpg", ".png")]
                image, mask = (
                    cv2.imdecode(np.frombuffer(io.BytesIO(tar.extractfile(c).read()).getvalue(), np.uint8), flag)  # type: ignore[union-attr]
                    for c, flag in zip(content, (cv2.IMREAD_COLOR, cv2.IMREAD_GRAYSCALE), strict=True)
                )
                cases.append((f"{sequence}-{i:02}", image, (mask > 127).astype(np.uint8)))
    return cases


def photographs(path: Path) -> list[tuple[str, Pixels, Pixels]]:
    cases = []
    for case in load_cases(path):
        scale = min(1.0, LONGEST / max(case.hole.shape))
        image = cv2.resize(case.image[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        hole = cv2.resize(case.hole, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        cases.append((case.name, np.asarray(image, np.uint8), np.asarray(hole, np.uint8)))
    return cases


def rim(result: Pixels, image: Pixels, hole: Pixels) -> float:
    """Mean colour step between the two sides of the mask's border, relative to the input's."""
    kernel = np.ones((3, 3), np.uint8)
    inside, outside = hole - cv2.erode(hole, kernel), cv2.dilate(hole, kernel) - hole

    def step(picture: Pixels) -> float:
        smooth = picture.astype(np.float32)
        sides = []
        for side in (inside, outside):
            weight = cv2.blur(side.astype(np.float32), (5, 5))[..., None]
            sides.append(cv2.blur(smooth * side[..., None], (5, 5)) / np.maximum(weight, 1e-6))
        return float(np.abs(sides[0] - sides[1])[inside > 0].mean())

    return step(result) / max(step(image), 1e-6)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grow", description=__doc__)
    parser.add_argument("--hires", type=Path, required=True, help="hires.tar, masks drawn by hand")
    parser.add_argument("--video", type=Path, required=True, help="video.tar, tight masks")
    parser.add_argument("--out", type=Path, required=True, help="folder of the sheets")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    rims: dict[str, dict[Grow, list[float]]] = defaultdict(lambda: defaultdict(list))
    with Inpainter(options.bundle, backend="onnxruntime") as inpainter:
        sets = {"drawn": photographs(options.hires), "tight": video_cases(options.video)}
        for kind, cases in sets.items():
            for name, image, hole in cases:
                panels = [image]
                for grow in GROWTHS:
                    settings = InpaintOptions(channel_order="bgr", grow=grow)
                    panels.append(inpainter.inpaint(image, hole, options=settings).image)
                    rims[kind][grow].append(rim(panels[-1], image, hole))
                y, x = (int(n) for n in np.argwhere(hole).mean(0))
                top = min(max(0, y - WINDOW // 2), max(0, hole.shape[0] - WINDOW))
                left = min(max(0, x - WINDOW // 2), max(0, hole.shape[1] - WINDOW))
                cut = [p[top : top + WINDOW, left : left + WINDOW] for p in panels]
                write_image(options.out / f"{kind}-{name}.jpg", np.concatenate(cut, 1))
    for kind, by_growth in rims.items():
        print(f"{kind:<8}" + "  ".join(f"grow {g}: rim {np.median(v):.2f}" for g, v in by_growth.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
