"""Three sets of pictures made by code, whose truth inside the hole is certain: even areas, lines, textures.

``python -m benchmarks.synthetic --hires hires.tar --out benchmarks/results/x86-2-cores/synthetic.json``
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import load_cases
from benchmarks.methods import Method, classical_methods
from benchmarks.perceptual import perceptual_distance
from benchmarks.record import environment, write_record
from iic_rt import Inpainter
from iic_rt.bundle.manifest import DEFAULT_BUNDLE

__all__ = ["Even", "Line", "even_scores", "line_score", "make_even", "make_lines", "make_textures"]

Pixels = NDArray[np.uint8]

COUNT = 40  # pictures of a set
SIDE = 320  # pixels
RING = 12  # pixels around the hole that its error is compared with
CRISP = 0.5  # share of the contrast a line has to keep within two pixels
# Of the CC0 photographs (number in hires.tar; left, top and side of a window, the size it is scaled to).
TEXTURES = (
    ("00", 900, 1350, 700, 350),
    ("00", 1500, 1300, 640, 320),
    ("01", 300, 2060, 480, 320),
    ("01", 2700, 2100, 400, 320),
    ("02", 1900, 250, 700, 350),
    ("02", 2800, 60, 640, 320),
    ("02", 200, 1750, 400, 320),
    ("02", 1000, 1850, 300, 300),
    ("03", 100, 1300, 800, 320),
    ("03", 650, 100, 640, 320),
)


@dataclass(frozen=True)
class Even:
    """A shaded area with a sensor's noise."""

    image: Pixels  # [SIDE, SIDE, 3]
    clean: NDArray[np.float32]  # the same without noise
    hole: Pixels  # [SIDE, SIDE] in {0, 1}


@dataclass(frozen=True)
class Line:
    """A pattern of two colours: ``share`` says how much of the second colour a pixel has."""

    image: Pixels
    colours: NDArray[np.float32]  # [2, 3]
    share: NDArray[np.float32]  # [SIDE, SIDE] in [0, 1]
    hole: Pixels
    kind: str


def blob(rng: np.random.Generator, longest: float) -> Pixels:
    """A hole shaped like an object: a body with limbs, its contour uneven; uint8 [SIDE, SIDE] in {0, 1}."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    centre = rng.uniform(0.4, 0.6, 2) * SIDE
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = 1 + sum(rng.normal(0, 0.25 / k) * np.cos(k * angle + rng.uniform(0, 7)) for k in range(2, 9))
    radius = np.clip(radius, 0.4, None) * longest / 2 / 1.4
    points = centre + np.stack((np.cos(angle), rng.uniform(0.6, 1) * np.sin(angle)), 1) * radius[:, None]
    cv2.fillPoly(mask, [points.astype(np.int32)], 1)
    for _ in range(int(rng.integers(0, 4))):
        end = centre + rng.uniform(0.4, 0.6) * longest * np.array([np.cos(a := rng.uniform(0, 7)), np.sin(a)])
        ends = [tuple(int(v) for v in point) for point in (centre, end)]
        cv2.line(mask, *ends, 1, max(3, int(longest * rng.uniform(0.05, 0.15))))
    return mask


def make_even(seed: int = 1) -> list[Even]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    cases = []
    for _ in range(COUNT):
        first, last = np.clip(rng.uniform(40, 215) + rng.normal(0, 25, (2, 3)), 15, 240)
        angle = rng.uniform(0, 2 * np.pi)
        share = 0.5 + (np.cos(angle) * x + np.sin(angle) * y) * rng.uniform(0.3, 1)
        clean = first + (last - first) * share[..., None]
        clean = clean * (1 - rng.uniform(0, 0.4) * (x * x + y * y))[..., None]
        noise = rng.normal(0, 1, (SIDE, SIDE, 3))
        if rng.random() < 0.5:
            noise = 1.6 * cv2.GaussianBlur(noise, (0, 0), 0.7)
        image = np.clip(np.rint(clean + rng.uniform(0.5, 3.5) * noise), 0, 255).astype(np.uint8)
        cases.append(Even(image, clean.astype(np.float32), blob(rng, rng.uniform(60, 180))))
    return cases


def _stripes(u: NDArray[np.float64], period: float, duty: float) -> NDArray[np.bool_]:
    return np.asarray((u / period) % 1 < duty)


def make_lines(seed: int = 2) -> list[Line]:
    """Edges, double lines, curbs, grids, slats and horizons at any angle, across discs of 24 to 128 pixels."""
    rng = np.random.default_rng(seed)
    fine = 4  # times the resolution
    y, x = ((np.mgrid[: SIDE * fine, : SIDE * fine] + 0.5) / fine) - SIDE / 2
    kinds = ("edge", "double line", "curb", "grid", "slats", "horizon")
    cases = []
    for i in range(2 * COUNT):
        kind = kinds[i % len(kinds)]
        diameter = (24, 48, 80, 128)[i // len(kinds) % 4]
        angle = rng.normal(0, 0.05) if kind == "horizon" else rng.uniform(0, np.pi)
        u = np.cos(angle) * y + np.sin(angle) * x + rng.uniform(-0.3, 0.3) * diameter
        v = np.cos(angle) * x - np.sin(angle) * y
        width = rng.uniform(3, 8)
        if kind in ("edge", "horizon"):
            inside = u > 0
        elif kind == "double line":
            inside = (np.abs(u - 1.5 * width) < width / 2) | (np.abs(u + 1.5 * width) < width / 2)
        elif kind == "curb":
            inside = (u > 2 * width) | (np.abs(u) < width / 2)
        elif kind == "grid":
            period = rng.uniform(18, 48)
            inside = _stripes(u, period, width / period) | _stripes(v, period, width / period)
        else:
            inside = _stripes(u * (1 + 0.001 * v), rng.uniform(12, 36), rng.uniform(0.35, 0.65))
        share = cv2.resize(inside.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        colours = np.clip(rng.uniform(30, 225) + rng.normal(0, 25, (2, 3)), 10, 245)
        colours[1] = np.where(colours[0].mean() > 128, colours[1] * 0.45, 255 - (255 - colours[1]) * 0.45)
        image = colours[0] + share[..., None] * (colours[1] - colours[0])
        image = image + rng.normal(0, rng.uniform(0, 2), image.shape)
        hole = np.zeros((SIDE, SIDE), np.uint8)
        cv2.circle(hole, (SIDE // 2, SIDE // 2), diameter // 2, 1, -1)
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        cases.append(Line(image, colours.astype(np.float32), share, hole, kind))
    return cases


def make_textures(hires: Path, seed: int = 3) -> list[tuple[Pixels, Pixels]]:
    """Picture and hole: windows of CC0 photographs that look alike all over, each with four holes."""
    rng = np.random.default_rng(seed)
    photographs = {case.name: case.image for case in load_cases(hires)}
    cases = []
    for name, left, top, side, size in TEXTURES:
        window = photographs[name][top : top + side, left : left + side]
        image = cv2.resize(window, (size, size), interpolation=cv2.INTER_AREA)
        for _ in range(4):
            hole = cv2.resize(blob(rng, rng.uniform(60, 140)), (size, size), interpolation=cv2.INTER_NEAREST)
            cases.append((np.asarray(image, np.uint8), np.asarray(hole, np.uint8)))
    return cases


def even_scores(case: Even, result: Pixels) -> dict[str, float]:
    """95 % error in the hole and in the ring (of 255), and the fine detail in the hole relative to the ring's.

    The error is that of the low-passed result: noise, which nobody can know, is not to be copied exactly.
    """
    hole = case.hole > 0
    ring = (cv2.dilate(case.hole, np.ones((2 * RING + 1,) * 2, np.uint8)) > 0) & ~hole
    smooth = cv2.GaussianBlur(result.astype(np.float32), (0, 0), 2)
    error = np.abs(smooth - case.clean).max(2)
    grey = cv2.cvtColor(result, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.square(grey - cv2.GaussianBlur(grey, (0, 0), 2))
    return {
        "error": float(np.percentile(error[hole], 95)),
        "ring": float(np.percentile(error[ring], 95)),
        "detail": float(fine[hole].mean() / max(fine[ring].mean(), 1e-6)),
    }


def line_score(case: Line, result: Pixels) -> float:
    """Share of the line pixels in the hole that have a crisp line within 1 pixel of where it belongs."""
    axis = case.colours[1] - case.colours[0]
    share = ((result.astype(np.float32) - case.colours[0]) @ axis / (axis @ axis)).astype(np.float32)

    def crossings(values: NDArray[np.float32]) -> NDArray[np.bool_]:
        side = (values > 0.5).astype(np.uint8)
        return np.asarray(cv2.morphologyEx(side, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0)

    window = np.ones((5, 5), np.uint8)
    crisp = cv2.dilate(share, window) - cv2.erode(share, window) > CRISP
    found = cv2.dilate((crossings(share) & crisp).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    wanted = crossings(case.share) & (case.hole > 0)
    return float(found[wanted].mean()) if wanted.any() else 1.0


def evaluate(methods: dict[str, Method], hires: Path) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    sets = make_even(), make_lines(), make_textures(hires)
    for name, method in methods.items():
        even: dict[str, list[float]] = defaultdict(list)
        for case in sets[0]:
            for key, value in even_scores(case, method(case.image, case.hole)).items():
                even[key].append(value)
        above = np.subtract(even["error"], even["ring"])
        lines: dict[str, list[float]] = defaultdict(list)
        for line in sets[1]:
            lines[line.kind].append(line_score(line, method(line.image, line.hole)))
        textures = [perceptual_distance(method(image, hole), image, hole > 0) for image, hole in sets[2]]
        kinds = {kind: round(float(np.mean(values)), 3) for kind, values in lines.items()}
        rows[name] = {
            "even_error": round(float(np.mean(even["error"])), 2),
            "even_above_ring": round(float(np.mean(above)), 2),
            "even_above_ring_worst": round(float(above.max()), 2),
            "even_detail": round(float(np.mean(even["detail"])), 2),
            "even_detail_worst": round(float(np.max(even["detail"])), 2),
            "lines": round(float(np.mean(list(kinds.values()))), 3),
            "lines_by_kind": kinds,
            "textures_distance": round(float(np.mean(textures)), 4),
        }
        print(name, rows[name], file=sys.stderr, flush=True)
    return {"methods": rows}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic", description=__doc__)
    parser.add_argument("--hires", type=Path, required=True, help="hires.tar; the textures are cut from it")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--backend", default="onnxruntime", help="what fills the holes (default %(default)s)")
    parser.add_argument("--no-classical", action="store_true", help="omit the classical methods")
    options = parser.parse_args(argv)
    with Inpainter(options.bundle, backend=options.backend) as inpainter:
        methods = {} if options.no_classical else classical_methods()
        methods |= {"iic-rt": lambda image, hole: inpainter.inpaint(image, hole).image}
        found = evaluate(methods, options.hires)
        facts = {"backend": inpainter.backend_name, "precision": inpainter.precision}
        write_record(options.out, environment(inpainter.bundle) | facts | found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
