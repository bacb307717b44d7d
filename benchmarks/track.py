"""How well a mask is carried along: ``TrackMasks`` from the first true mask of every sequence, against the others.

``python -m benchmarks.track --video video.tar`` prints one line a sequence: J (intersection over union with the true
mask, its mean, and at the end), the share of the object that the mask covers when grown by ``"auto"`` as the runtime
does, the trust at the end, how trust and J go together (correlation), and where the track was lost.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.masks import grow_hole
from iic_rt.video.track import TrackMasks

__all__ = ["main"]

Pixels = NDArray[np.uint8]
LAST = 10  # frames that count as the end


def sequences(path: Path) -> Iterator[tuple[str, list[tuple[Pixels, Pixels]]]]:
    """Name, and frames uint8 [H, W, 3] with true masks uint8 [H, W] in {0, 1}, of every sequence."""
    with tarfile.open(path) as tar:
        names = sorted(n for n in tar.getnames() if "/frames/" in n and n.endswith(".jpg"))

        def read(name: str, flag: int) -> Pixels:
            member = tar.extractfile(name)
            assert member is not None
            return np.asarray(cv2.imdecode(np.frombuffer(member.read(), np.uint8), flag), np.uint8)

        for sequence in sorted({n.split("/")[0] for n in names}):
            pairs = []
            for name in (n for n in names if n.startswith(f"{sequence}/")):
                mask = read(name.replace("/frames/", "/masks/").replace(".jpg", ".png"), cv2.IMREAD_GRAYSCALE)
                pairs.append((read(name, cv2.IMREAD_COLOR), (mask > 127).astype(np.uint8)))
            yield sequence, pairs


def measure(frames: list[tuple[Pixels, Pixels]]) -> dict[str, float | str]:
    """What the table says of a sequence."""
    masks = TrackMasks(frames[0][1], when_lost="hold")
    overlaps, covered, trust, lost = [], [], [], ""
    for i, (frame, true) in enumerate(frames):
        found = masks.mask(frame, i, None)
        mask = np.zeros_like(true) if found is None else found // np.uint8(255)
        overlaps.append(np.count_nonzero(mask & true) / max(1, np.count_nonzero(mask | true)))
        covered.append(np.count_nonzero(grow_hole(mask, "auto") & true) / max(1, np.count_nonzero(true)))
        trust.append(masks.trust or 0.0)
        if masks.warnings and not lost:
            lost = str(i)
    return {
        "J": float(np.mean(overlaps[1:])),
        "J at the end": float(np.mean(overlaps[-LAST:])),
        "covered": float(np.mean(covered[1:])),
        "trust at the end": float(np.mean(trust[-LAST:])),
        "correlation": float(np.corrcoef(overlaps[1:], trust[1:])[0, 1]),
        "lost": lost or "never",
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, required=True, help="video.tar: frames and masks of every sequence")
    options = parser.parse_args(arguments)
    for i, (name, frames) in enumerate(sequences(options.video)):
        row = measure(frames)
        if i == 0:
            print(f"| sequence | frames | {' | '.join(row)} |")
            print("|---" * (len(row) + 2) + "|")
        cells = [f"{value:.2f}" if isinstance(value, float) else value for value in row.values()]
        print(f"| {name} | {len(frames)} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
