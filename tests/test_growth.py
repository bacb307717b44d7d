"""Memory and time grow linearly with the pixels of the crop."""

from __future__ import annotations

import pytest

from benchmarks.scaling import in_new_process

LIMIT_MIB = 1536  # 1.5 GiB, the caller's picture and Python itself included


@pytest.mark.parametrize("share", [0.15, 0.6])
def test_memory_of_a_photograph_of_12_megapixels(share: float) -> None:
    assert in_new_process(3000, 4000, share, 0)["peak_mib"] < LIMIT_MIB


def test_time_is_linear_in_the_pixels_of_the_crop() -> None:
    small, large = (in_new_process(side, side, 0.25, 1)["upsample_seconds"] for side in (1024, 2048))
    assert large < 2.5 * 4 * small  # four times the pixels; quadratic growth would be sixteen times
