"""What is compared: this project at several T, the paper's IT baseline, and classical inpainting."""

from __future__ import annotations

import sys
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt import Inpainter, InpaintOptions

__all__ = ["Method", "classical_methods", "exemplar_methods", "fill_in_rings", "our_methods", "rings", "square_methods"]

Pixels = NDArray[np.uint8]
Method = Callable[[Pixels, Pixels], Pixels]  # (image [H, W, 3], hole [H, W] in {0, 1}) -> filled image

RADIUS = 5  # pixels; with 3, OpenCV's default in its examples, both score lower
RINGS = 4  # of the IT baseline, as in the paper's Sec. 4.3


def classical_methods() -> dict[str, Method]:
    """OpenCV's two algorithms, and PatchMatch where the package is installed; stderr says so where it is not."""
    methods: dict[str, Method] = {
        "OpenCV Telea": lambda image, hole: np.asarray(cv2.inpaint(image, hole, RADIUS, cv2.INPAINT_TELEA), np.uint8),
        "OpenCV Navier-Stokes": lambda image, hole: np.asarray(
            cv2.inpaint(image, hole, RADIUS, cv2.INPAINT_NS), np.uint8
        ),
    }
    try:
        from patchmatch import patch_match
    except ImportError:
        print("PyPatchMatch is left out; pip install 'iic-rt[peers]' brings it", file=sys.stderr)
        return methods
    methods["PyPatchMatch"] = lambda image, hole: np.asarray(
        patch_match.inpaint(np.where(hole[..., None] > 0, np.uint8(0), image), hole * 255, patch_size=3), np.uint8
    )
    return methods


def exemplar_methods() -> dict[str, Method]:
    """OpenCV's shift map (He and Sun 2012), slow, where its contributed modules are; stderr says so where not.

    It is an exemplar-based method like PatchMatch, but copies whole areas along the shifts that are frequent.
    """
    xphoto = getattr(cv2, "xphoto", None)
    if xphoto is None:
        print(
            "OpenCV's shift map is left out; opencv-contrib-python-headless in place of opencv-python-headless "
            "brings it",
            file=sys.stderr,
        )
        return {}

    def shift_map(image: Pixels, hole: Pixels) -> Pixels:
        known = np.where(hole > 0, np.uint8(0), np.uint8(255))
        lab = cv2.cvtColor(np.where(hole[..., None] > 0, np.uint8(0), image), cv2.COLOR_RGB2LAB)
        filled = np.zeros_like(lab)
        xphoto.inpaint(lab, known, filled, xphoto.INPAINT_SHIFTMAP)
        rgb = np.asarray(cv2.cvtColor(filled, cv2.COLOR_LAB2RGB), np.uint8)
        return np.where(hole[..., None] > 0, rgb, image)

    return {"OpenCV shift map": shift_map}


def our_methods(inpainter: Inpainter, iterations: tuple[int, ...]) -> dict[str, Method]:
    """This project as it comes and with the hole as given, the loop alone for each T asked, and the IT baseline.

    Cut-out holes are exact. Growing them takes good pixels away, which the default does for the sake of real masks.
    """

    def loop(t: int) -> Method:
        options = InpaintOptions(iterations=t, upsample=False, grow=0)
        return lambda image, hole: inpainter.inpaint(image, hole, options=options).image

    exact = InpaintOptions(grow=0)
    methods: dict[str, Method] = {
        "iic-rt": lambda image, hole: inpainter.inpaint(image, hole).image,
        "iic-rt, grow 0": lambda image, hole: inpainter.inpaint(image, hole, options=exact).image,
    }
    methods |= {f"loop alone, T = {t}": loop(t) for t in iterations}
    methods[f"IT baseline, {RINGS} rings"] = lambda image, hole: fill_in_rings(loop(1), image, hole)
    return methods


def square_methods(inpainter: Inpainter) -> dict[str, Method]:
    """The paper's ``Ours*`` and ``Ours`` on square pictures, and ``Ours`` with a plain enlargement in place of patches.

    The whole square is one region, so that the loop sees what the paper's loop saw.
    """
    full = InpaintOptions(upsample=False, context=16.0, grow=0)
    kept = InpaintOptions(outputs=("history",), context=16.0, grow=0)
    return {
        "Ours*: loop at full size": lambda image, hole: inpainter.inpaint(image, hole, options=full).image,
        "Ours: loop at 256, upsampled": lambda image, hole: inpainter.inpaint(image, hole, options=kept).image,
        "loop at 256, bicubic": lambda image, hole: inpainter.inpaint(image, hole, options=kept).history[-1].image,
    }


def rings(hole: Pixels, count: int) -> NDArray[np.int64]:
    """Ring number of every hole pixel, 1 next to the border to ``count`` in the middle; 0 outside: [H, W].

    The depth of each hole is cut evenly, by distance transform.
    """
    distance = cv2.distanceTransform(np.pad(hole, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    _, labels = cv2.connectedComponents(hole, connectivity=8)
    number = np.zeros(hole.shape, np.int64)
    for label in range(1, int(labels.max()) + 1):
        inside = labels == label
        number[inside] = np.clip(np.ceil(distance[inside] / distance[inside].max() * count), 1, count)
    return number


def fill_in_rings(once: Method, image: Pixels, hole: Pixels) -> Pixels:
    """Boundary to centre without confidence: one pass ``once`` for each ring, each keeping that ring alone."""
    number = rings(hole, RINGS)
    filled = image.copy()
    for ring in range(1, RINGS + 1):
        left = (number >= ring).astype(np.uint8)
        if not left.any():
            continue
        now = number == ring
        filled[now] = once(filled, left)[now]
    return filled
