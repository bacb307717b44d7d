"""Fills images with less and less memory: prints what became of each.

The limits count from what the process has when an inpainter is open, so they are the same on all machines.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from iic_rt import Inpainter
from iic_rt.errors import BackendError

SIDE = 1200  # pixels


def scene(side: int) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = 255
    return image, mask


def in_use() -> int:
    """Bytes of addresses."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def main(backend: str, *limits: str) -> None:
    small, large = scene(96), scene(SIDE)
    before = resource.getrlimit(resource.RLIMIT_AS)
    found: dict[str, str] = {}
    with Inpainter(backend=backend, threads=1, working_size=64) as inpainter:
        right = inpainter.inpaint(*small).image
        for mib in limits:
            resource.setrlimit(resource.RLIMIT_AS, (in_use() + (int(mib) << 20), before[1]))
            try:
                inpainter.inpaint(*large)
                found[mib] = "filled"
            except BackendError as error:
                found[mib] = str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
            assert (inpainter.inpaint(*small).image == right).all()  # nothing is left of what failed
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
