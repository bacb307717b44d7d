"""``iic::PatchSearch``, version 5, in numpy: the specification that graphs and kernels are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["patch_search"]

Values = NDArray[np.floating]


def patch_search(
    q: Values, hole: Values, weight: Values, *, best: int, scale: float
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """For every hole patch the valid patches to copy, and the share of each (Eq. 5 of the paper, cut to the best).

    The logit of patch ``j`` for the hole patch ``i`` is ``scale q[i].q[j] + log(weight[j])``. The ``best`` valid
    patches of the greatest logits are kept, the one of the lower number first where two are equal, and their shares are
    the softmax over them. With ``best`` = N that is Eq. 5 exactly.

    Args:
        q: [B, rows * columns, D], rows of unit length: descriptors of the patches, row by row.
        hole: [B, rows, columns], above 0 = a patch to replace.
        weight: [B, rows, columns], 0 or more; 0 = this patch is not valid and never chosen.
        best: patches that are kept, 1 to N.
        scale: factor of the cosine.

    Returns:
        ``offset`` [B, best, 2, rows, columns], from each hole patch to those that it copies, rows and columns in
        quarters of a patch, and ``share`` [B, best, rows, columns], which adds up to 1 for every hole patch. Where
        nothing is to be chosen, or nothing more, both are 0.
    """
    batch, rows, columns = hole.shape
    offset = np.zeros((batch, best, 2, rows * columns), np.int32)
    share = np.zeros((batch, best, rows * columns))
    for b in range(batch):
        holes, valid = np.flatnonzero(hole[b] > 0), np.flatnonzero(weight[b] > 0)
        if not len(holes) or not len(valid):
            continue
        d = np.asarray(q[b], np.float64)
        logit = scale * d @ d.T + np.log(np.where(weight[b] > 0, weight[b], 1).ravel())
        kept = valid[np.argsort(-logit[np.ix_(holes, valid)], axis=1, kind="stable")[:, :best]]
        raised = np.exp(np.take_along_axis(logit[holes], kept, 1) - logit[holes[:, None], kept[:, :1]])
        for k in range(kept.shape[1]):
            steps = np.stack(np.divmod(kept[:, k], columns)) - np.stack(np.divmod(holes, columns))
            offset[b, k][:, holes] = 4 * steps
            share[b, k, holes] = raised[:, k] / raised.sum(1)
    return offset.reshape(batch, best, 2, rows, columns), share.reshape(batch, best, rows, columns)
