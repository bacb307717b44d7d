"""``iic::PatchSearch``, version 3, in numpy: the specification that graphs and kernels are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["patch_search"]

Values = NDArray[np.floating]
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))  # above, below, left, right


def patch_search(
    q: Values, hole: Values, weight: Values, *, best: int, scale: float, coherence: float, sweeps: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """For every hole patch the valid patches to copy, and the share of each (Eq. 5 of the paper, cut to the best).

    The logit of patch ``j`` for the hole patch ``i`` is ``scale q[i].q[j] + log(weight[j])``. The ``best`` valid
    patches of the greatest logits are kept, the one of the lower number first where two are equal, and their shares are
    the softmax over them. With ``best`` = N that is Eq. 5 exactly.

    Then come ``sweeps`` over the hole, each of two halves: the patches whose row and column have an even sum, then the
    others. A patch chooses between its own source and those that continue the source of a neighbour, its logit raised
    by ``coherence`` for every neighbour that it continues. All patches of a half choose at once.

    Args:
        q: [B, rows * columns, D], rows of unit length: descriptors of the patches, row by row.
        hole: [B, rows, columns], above 0 = a patch to replace.
        weight: [B, rows, columns], 0 or more; 0 = this patch is not valid and never chosen.
        best: patches that are kept, 1 to N.
        scale: factor of the cosine.
        coherence: what an agreeing neighbour adds to a logit, 0 or more.
        sweeps: 0 or more; above 0 only with ``best`` = 1.

    Returns:
        ``source`` [B, best, rows, columns], numbers of patches, and ``share`` [B, best, rows, columns], which adds up
        to 1 for every hole patch. Where nothing is to be chosen, or nothing more, both are 0.
    """
    assert sweeps == 0 or best == 1
    batch, rows, columns = hole.shape
    source = np.zeros((batch, best, rows * columns), np.int32)
    share = np.zeros((batch, best, rows * columns))
    for b in range(batch):
        holes, valid = np.flatnonzero(hole[b] > 0), np.flatnonzero(weight[b] > 0)
        if not len(holes) or not len(valid):
            continue
        d = np.asarray(q[b], np.float64)
        logit = scale * d @ d.T + np.log(np.where(weight[b] > 0, weight[b], 1).ravel())
        kept = valid[np.argsort(-logit[np.ix_(holes, valid)], axis=1, kind="stable")[:, :best]]
        raised = np.exp(np.take_along_axis(logit[holes], kept, 1) - logit[holes[:, None], kept[:, :1]])
        count = kept.shape[1]
        source[b, :count, holes] = kept
        share[b, :count, holes] = raised / raised.sum(1, keepdims=True)
        chosen, is_hole = source[b, 0].reshape(rows, columns), hole[b] > 0
        for _ in range(sweeps):
            for colour in (0, 1):
                before = chosen.copy()
                for r, c in np.argwhere(is_hole):
                    if (r + c) % 2 == colour:
                        chosen[r, c] = _choice(before, is_hole, weight[b], logit, r, c, coherence)
    return source.reshape(batch, best, rows, columns), share.reshape(batch, best, rows, columns)


def _choice(
    source: NDArray[np.int32], is_hole: NDArray[np.bool_], weight: Values, logit: Values, r: int, c: int, bonus: float
) -> int:
    """What the hole patch at ``r``, ``c`` copies after a look at its neighbours: the first of the best candidates."""
    rows, columns = source.shape
    continued = []
    for up, left in NEIGHBOURS:
        near = r + up, c + left
        if 0 <= near[0] < rows and 0 <= near[1] < columns and is_hole[near]:
            row, column = source[near] // columns - up, source[near] % columns - left
            if 0 <= row < rows and 0 <= column < columns and weight[row, column] > 0:
                continued.append(int(row * columns + column))
    candidates = [int(source[r, c]), *continued]
    return max(candidates, key=lambda j: logit[r * columns + c, j] + bonus * continued.count(j))
