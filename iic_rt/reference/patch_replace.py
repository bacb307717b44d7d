"""``iic::PatchReplace``, version 1, in numpy: the specification that graphs and kernels are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["patch_replace"]

Values = NDArray[np.floating]


def patch_replace(
    q: Values, k: Values, v: Values, hole: NDArray[np.generic], weight: Values, *, scale: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Replaces the rows of hole patches by a softmax-weighted sum of valid ones (Eq. 5 and 6 of the paper).

    ``out[i] = sum_j s_ij v[j]`` with ``s_ij = weight[j] exp(scale q[i].k[j]) / sum_j weight[j] exp(scale q[i].k[j])``
    where ``hole[i]`` is above 0; every other row is handed through bit for bit. The plain ``exp(cos)`` of Eq. 6 is
    nearly uniform over unit vectors, hence ``scale``.

    Args:
        q: [B, N, D], rows of unit length: descriptors of the patches as asked for.
        k: [B, N, D], rows of unit length: descriptors of the patches as offered.
        v: [B, N, Dv], what is copied.
        hole: [B, N], above 0 = replace this row.
        weight: [B, N], 0 or more; 0 = this patch is not valid and never read.
        scale: factor of the cosine.

    Returns:
        ``out`` [B, N, Dv] and ``replaced`` [B, N] in {0, 1}. A picture without a valid patch keeps all of its rows,
        and its ``replaced`` is 0.
    """
    q, k, weight = (np.asarray(a, np.float64) for a in (q, k, weight))
    out = np.array(v, np.float64)
    replaced = np.zeros(hole.shape, np.float64)
    for b in range(len(out)):
        rows, valid = np.flatnonzero(hole[b] > 0), np.flatnonzero(weight[b] > 0)
        if len(rows) == 0 or len(valid) == 0:
            continue
        logits = scale * q[b, rows] @ k[b, valid].T + np.log(weight[b, valid])
        share = np.exp(logits - logits.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        out[b, rows] = share @ np.asarray(v[b, valid], np.float64)
        replaced[b, rows] = 1
    return out, replaced
