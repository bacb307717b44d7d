"""Random operands of ``iic::PatchReplace`` and how near a kernel must come, shared by tests and measurements."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iic_rt.reference.patch_replace import patch_replace

__all__ = ["Operands", "check", "make_operands"]


@dataclass(frozen=True)
class Operands:
    """Arguments of :func:`iic_rt.reference.patch_replace.patch_replace` in its order, and ``scale``."""

    q: NDArray[np.generic]  # [B, N, D], float32 or float16
    k: NDArray[np.generic]  # [B, N, D]
    v: NDArray[np.generic]  # [B, N, Dv], NaN where a patch is replaced and not valid
    hole: NDArray[np.float32]  # [B, N] in {0, 1}
    weight: NDArray[np.float32]  # [B, N] in [0, 1]
    scale: float

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        return (*self.q.shape, self.v.shape[2])  # type: ignore[return-value]

    @property
    def half(self) -> bool:
        return bool(self.v.dtype == np.float16)

    @property
    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        return self.q, self.k, self.v, self.hole, self.weight


def make_operands(
    sizes: tuple[int, int, int, int], dtype: str, *, holes: float = 0.3, valid: float = 0.7, scale: float = 30.0
) -> Operands:
    """Unit descriptors, values in [-1, 1], ``holes`` and ``valid`` as shares of the patches.

    What no result may depend on is NaN: a row of ``v`` that is not valid and does not pass.
    """
    batch, patches, descriptor, width = sizes
    rng = np.random.default_rng(sum(sizes))
    q, k = rng.normal(size=(2, batch, patches, descriptor))
    # Half of the descriptors asked for resemble one that is offered, as in a picture: some shares are then near 1.
    q[:, ::2] = 0.3 * q[:, ::2] + k[:, rng.permutation(patches)][:, ::2]
    q, k = (x / np.linalg.norm(x, axis=2, keepdims=True) for x in (q, k))
    hole = (rng.random((batch, patches)) < holes).astype(np.float32)
    weight = (rng.random((batch, patches)) * (rng.random((batch, patches)) < valid)).astype(np.float32)
    v = rng.uniform(-1, 1, (batch, patches, width))
    v[(weight == 0) & (hole > 0) & (weight > 0).any(1, keepdims=True)] = np.nan
    return Operands(q.astype(dtype), k.astype(dtype), v.astype(dtype), hole, weight, scale)


def check(given: Operands, out: NDArray[np.generic], replaced: NDArray[np.float32]) -> float:
    """Compares a result with the specification and returns the largest error of a replaced row.

    In float32 the error is that of the logits, which grows with ``scale``. In float16 it is half a step of the result
    below 1, 2^-12, and as much again for the shares.

    Raises:
        AssertionError: a replaced row is further off, a row that passes is not equal bit for bit, or ``replaced`` is
            wrong.
    """
    expected, told = patch_replace(*given.arrays, scale=given.scale)
    np.testing.assert_array_equal(replaced, told)
    passes = told == 0
    bits = np.uint16 if given.half else np.uint32
    np.testing.assert_array_equal(out[passes].view(bits), given.v[passes].view(bits))
    if passes.all():
        return 0.0
    error = float(np.abs(out[~passes].astype(np.float64) - expected[~passes]).max())
    limit = 1e-3 if given.half else 2e-6 + given.scale * 2.0**-22
    assert error <= limit, f"{given.sizes} {given.v.dtype}: off by {error:.2e}, allowed are {limit:.0e}"
    return error
