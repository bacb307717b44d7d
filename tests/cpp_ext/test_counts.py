"""Operations and bytes are counted right, and the roofline is the slower of the two."""

from __future__ import annotations

import pytest

from cpp_ext.bench.counts import Peaks, Work, count_work


def test_a_case_counted_by_hand() -> None:
    # 10 patches: 4 rows are replaced from 6 valid ones; descriptor 3, width 5, float16.
    work = count_work(10, 3, 5, rows=4, valid=6, half=True)
    assert work.flops == 2 * 4 * 6 * (3 + 5)
    descriptors, read, written, flags = (4 + 6) * 3 * 2, 6 * 5 * 2, 10 * 5 * 2, 3 * 10 * 4
    assert work.bytes == descriptors + read + written + flags
    assert count_work(10, 3, 5, rows=4, valid=6, half=False).bytes == 2 * (work.bytes - flags) + flags


@pytest.mark.parametrize(("work", "expected"), [(Work(200, 10), 2000.0), (Work(100, 30), 3000.0)])
def test_the_roofline_is_the_slower_of_the_two(work: Work, expected: float) -> None:
    assert work.roofline_ms(Peaks(flops=100.0, bytes=10.0)) == expected
