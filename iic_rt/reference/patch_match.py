"""``iic::PatchMatch``, version 5, in numpy: the specification that graphs and kernels are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["patch_match"]

Values = NDArray[np.floating]
PATCH = 4  # pixels on a side of a patch
WINDOW = (-2, 0, 2, 4)  # of a patch's first pixel, along either axis: what is compared
AROUND = [(up, left) for up, left in product((-1, 0, 1), repeat=2) if up or left]  # row by row
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # above, below, left, right
COHERENCE = 1.0  # by how much a cost counts less for each patch beside that has the same offset


def patch_match(
    features: Values, valid: Values, offset: NDArray[np.int32], share: Values, *, steps: Sequence[int]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Moves what hole patches copy to where it fits better: PatchMatch (Barnes et al., 2009) without chance.

    What a patch would copy has a cost: the sum of squared differences between the features around the patch and those
    around its source, over all channels and every second pixel of the patch and 2 pixels on either side. Pixels beyond
    the border are the nearest ones of it.

    For every step there is a sweep, in which all hole patches choose at once between their own offset, those of the
    hole patches ``step`` patches above, below, to the left and to the right, and their own moved by ``step`` pixels in
    the eight directions, row by row. Other sources than the own have to be valid and wholly inside the image. A cost
    is divided by ``1 + COHERENCE * n``, where ``n`` of the four patches beside had the same offset before the sweep and
    are hole patches, so that larger pieces of the image are copied. The least quotient wins; of equal ones the first.

    Args:
        features: [B, C, 4 * rows, 4 * columns].
        valid: [B, 4 * rows, 4 * columns], above 0 = a patch may be copied whose first pixel this is.
        offset: [B, 1, 2, rows, columns], from the first pixel of each patch to that of what it copies.
        share: [B, 1, rows, columns], above 0 = a hole patch.
        steps: of the sweeps, each 1 or more.

    Returns:
        ``offset`` as it came in, changed for hole patches, and ``cost`` [B, 1, rows, columns] of it, not divided, 0
        elsewhere.
    """
    found, cost = np.array(offset), np.zeros(share.shape)
    height, width = features.shape[2:]
    for b in range(len(features)):
        hole = {(int(r), int(c)) for r, c in np.argwhere(share[b, 0] > 0)}

        def cost_of(r: int, c: int, move: tuple[int, int], b: int = b) -> float:
            total = 0.0
            for up, left in product(WINDOW, repeat=2):
                y, x = PATCH * r + up, PATCH * c + left
                target = features[b, :, _nearest(y, height), _nearest(x, width)]
                source = features[b, :, _nearest(y + move[0], height), _nearest(x + move[1], width)]
                total += float(np.square(np.asarray(target, np.float64) - source).sum())
            return total

        def allowed(r: int, c: int, move: tuple[int, int], b: int = b) -> bool:
            y, x = PATCH * r + move[0], PATCH * c + move[1]
            return 0 <= y <= height - PATCH and 0 <= x <= width - PATCH and bool(valid[b, y, x] > 0)

        for step in steps:
            before = {(r, c): (int(found[b, 0, 0, r, c]), int(found[b, 0, 1, r, c])) for r, c in hole}
            for r, c in hole:
                own = before[r, c]
                near = [before[n] for up, left in NEIGHBOURS if (n := (r + step * up, c + step * left)) in hole]
                moved = [(own[0] + step * up, own[1] + step * left) for up, left in AROUND]
                beside = [before.get((r + up, c + left)) for up, left in NEIGHBOURS]
                candidates = [own, *(move for move in (*near, *moved) if allowed(r, c, move))]
                scores = [cost_of(r, c, move) / (1 + COHERENCE * beside.count(move)) for move in candidates]
                found[b, 0, :, r, c] = candidates[scores.index(min(scores))]
        for r, c in hole:
            cost[b, 0, r, c] = cost_of(r, c, (int(found[b, 0, 0, r, c]), int(found[b, 0, 1, r, c])))
    return found, cost


def _nearest(pixel: int, length: int) -> int:
    """The pixel of an axis, or the nearest one inside the image."""
    return min(max(pixel, 0), length - 1)  # on single numbers several times as fast as numpy's clip
