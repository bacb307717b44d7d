"""Algorithm 1 of the paper in numpy: the specification that every backend and every graph is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["SURER", "Array", "Network", "iterate", "prepare"]

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Network = Callable[[Array, Array], tuple[Array, Array]]  # (z [1,3,H,W], m [1,1,H,W]) -> (g [1,3,H,W], conf [1,1,H,W])
# A pixel is kept after the first iteration where its confidence grew by more than this. With the paper's 0 those whose
# confidence is as good as it was are kept or left by chance, in specks, and rounding decides which.
SURER = np.float32(1 / 64)


def prepare(image: Pixels, visible: Pixels, weights: Array, order: Array) -> tuple[Array, Array]:
    """Region to working resolution: area mean of the pixels, maximum of what is not visible.

    Args:
        image: uint8 [S, S, C].
        visible: uint8 [S, S], 0 = not to be looked at: the hole, and what is avoided.
        weights: [4, p] of ``iic_rt.resampling.area_weights``; S is a multiple of p.
        order: [3, C], makes RGB of the image's channels.

    Returns:
        y [1, 3, s, s] in [-1, 1] with the hole zeroed, and m [1, 1, s, s] in {0, 1}, with s = 4 * S / p. A working
        pixel is a hole as soon as one pixel under it is, so no pixel of the removed object reaches the network.
    """
    groups = image.shape[0] // weights.shape[1]
    matrix = np.kron(np.eye(groups), weights)  # [s, S]
    rgb = image.astype(np.float64) @ order.astype(np.float64).T
    y = np.einsum("ah,hwc,bw->cab", matrix, rgb, matrix, optimize=True) / 127.5 - 1
    m = (matrix > 0) @ (visible == 0).astype(np.float64) @ (matrix > 0).T > 0
    return (y * ~m).astype(np.float32)[None], m.astype(np.float32)[None, None]


def iterate(network: Network, y: Array, m: Array, iterations: int) -> Iterator[tuple[Array, Array, Array]]:
    """Yields y, m and c after each iteration.

    Args:
        network: fills the hole of z, see ``Network``.
        y: float32 [1, 3, H, W] in [-1, 1], the image; what stands in its hole is never read.
        m: float32 [1, 1, H, W] in {0, 1}, 1 = hole.
        iterations: T of the paper.

    The paper's line 11 says ``z = y * m``; with z zeroed inside the hole it must be ``z = y * (1 - m)``. Outside the
    hole c is carried on (1 where the image was known), where the paper's c is 0 and never read. The paper has no
    ``SURER``.
    """
    c = 1 - np.float32(0.5) * m
    for t in range(iterations):
        g, conf = network(y * (1 - m), m)
        c_t = np.where(m > 0, conf, c)
        u = (c_t * m - c * m > (SURER if t else 0)).astype(np.float32)
        fill = m if t == 0 else u
        y = np.where(fill > 0, g, y)
        m = m - u
        c = c_t
        yield y, m, c
