"""Operations and bytes are counted right, and the roofline is the slower of the two."""

from __future__ import annotations

import pytest

from cpp_ext.bench.counts import Peaks, Work, count_match, count_replace, count_search


def test_a_search_counted_by_hand() -> None:
    # 10 patches: 4 rows are replaced from 6 valid ones; a descriptor of 3, one kept, float16.
    work = count_search(10, 3, rows=4, valid=6, best=1, half=True)
    assert work.flops == 2 * 4 * 6 * 3
    maps = 4 * 5 * 10  # hole, weight, two of offset, share
    assert work.bytes == 10 * 3 * 2 + maps
    assert count_search(10, 3, rows=4, valid=6, best=1, half=False).bytes == 10 * 3 * 4 + maps
    assert count_search(10, 3, rows=4, valid=6, best=3, half=True).bytes == work.bytes + 2 * 12 * 10
    assert count_search(10, 3, rows=1, valid=6, best=1, half=True).bytes == 7 * 3 * 2 + maps  # three are neither
    assert count_search(10, 3, rows=9, valid=6, best=1, half=True).bytes == work.bytes  # five are both


def test_a_match_counted_by_hand() -> None:
    # 10 patches, 4 of them holes, 3 channels, 2 sweeps, float16.
    work = count_match(10, 3, holes=4, sweeps=2, half=True)
    assert work.flops == 4 * (1 + 2 * 8) * 16 * 3 * 3  # subtract, multiply, add
    maps = 4 * 6 * 10
    assert work.bytes == 4 * 16 * (2 * 3 * 2 + 4) + maps
    assert count_match(10, 3, holes=4, sweeps=2, half=False).bytes == 4 * 16 * (2 * 3 * 4 + 4) + maps
    assert count_match(10, 3, holes=0, sweeps=2, half=True) == Work(0, maps)


def test_a_replacement_counted_by_hand() -> None:
    # 100 pixels, 30 of them inside, 4 channels, 25 patches, float16.
    work = count_replace(100, 4, inside=30, patches=25, best=1, half=True)
    assert work.flops == 8 * 30 * 4
    assert work.bytes == 2 * (70 * 4 + 100 * 4 + 2 * 100) + 12 * 25
    assert count_replace(100, 4, inside=30, patches=25, best=2, half=False).bytes == 2 * work.bytes


@pytest.mark.parametrize(("work", "expected"), [(Work(200, 10), 2000.0), (Work(100, 30), 3000.0)])
def test_the_roofline_is_the_slower_of_the_two(work: Work, expected: float) -> None:
    assert work.roofline_ms(Peaks(flops=100.0, bytes=10.0)) == expected
