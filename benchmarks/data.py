"""The evaluation pictures: a tar of ``images/``, ``masks/`` and ``meta.jsonl``."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Case", "load_cases", "squared"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A picture, RGB uint8 [H, W, 3], its hole, uint8 [H, W] in {0, 1}, and what ``meta.jsonl`` says of it."""

    name: str
    image: Pixels
    hole: Pixels
    meta: dict[str, Any]


def load_cases(path: Path, *, limit: int | None = None) -> list[Case]:
    """All cases of the archive, in the order of ``meta.jsonl``."""
    with tarfile.open(path) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        rows = [json.loads(line) for line in read("meta.jsonl").splitlines() if line.strip()][:limit]
        cases = []
        for row in rows:
            content = np.frombuffer(read(f"images/{row['id']}.jpg"), np.uint8)
            image = cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            mask = cv2.imdecode(np.frombuffer(read(f"masks/{row['id']}.png"), np.uint8), cv2.IMREAD_GRAYSCALE)
            cases.append(Case(row["id"], np.asarray(image, np.uint8), (mask > 127).astype(np.uint8), row))
    return cases


def squared(case: Case, side: int) -> Case:
    """The case as a square of ``side`` pixels: short side scaled to it, the window around the middle of the hole."""
    height, width = case.hole.shape
    scale = side / min(height, width)
    size = max(side, round(width * scale)), max(side, round(height * scale))
    image = cv2.resize(case.image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    hole = cv2.resize(case.hole, size, interpolation=cv2.INTER_NEAREST)
    pixels = np.argwhere(hole)
    middle = pixels[np.square(pixels - pixels.mean(0)).sum(1).argmin()]  # of several holes, one that is near the middle
    top, left = (min(max(0, m - side // 2), n - side) for m, n in zip(middle, hole.shape, strict=True))
    window = slice(top, top + side), slice(left, left + side)
    return Case(case.name, np.ascontiguousarray(image[window]), np.ascontiguousarray(hole[window]), case.meta)
