"""The torch versions that the kernels are timed beside compute the same; here on the CPU in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cpp_ext.bench.torch_peers import (
    match_all,
    match_gathered,
    replace_all,
    replace_gathered,
    search_all,
    search_gathered,
)
from cpp_ext.cases import (
    check_match,
    check_replace,
    check_search,
    make_match_operands,
    make_replace_operands,
    make_search_operands,
)


@pytest.mark.parametrize("search", [search_all, search_gathered])
@pytest.mark.parametrize(("best", "exact"), [(1, True), (1, False), (4, False)])
def test_the_search_is_that_of_the_specification(
    search: Callable[..., tuple[torch.Tensor, torch.Tensor]], best: int, exact: bool
) -> None:
    given = make_search_operands((1, 9, 12), 20, "float32", best=best, exact=exact)
    tensors = (torch.from_numpy(a[0]) for a in given.arrays)
    offset, share = (t.numpy()[None] for t in search(*tensors, best=best, scale=given.scale))
    check_search(given, offset.astype(np.int32), share)


def test_an_image_without_a_valid_patch_stays_zero() -> None:
    given = make_search_operands((1, 4, 5), 3, "float32")
    given.weight[:] = 0
    tensors = (torch.from_numpy(a[0]) for a in given.arrays)
    for output in search_all(*tensors, best=1, scale=4.0):
        assert not output.any()


@pytest.mark.parametrize("match", [match_all, match_gathered])
@pytest.mark.parametrize(("steps", "exact"), [((1,), True), ((8, 3, 1), True), ((4, 2, 1), False)])
def test_the_match_is_that_of_the_specification(
    match: Callable[..., tuple[torch.Tensor, torch.Tensor]], steps: tuple[int, ...], exact: bool
) -> None:
    given = make_match_operands((1, 6, 5), 3, "float32", holes=0.6, steps=steps, exact=exact)
    features, valid, offset, share = (torch.from_numpy(a[0]) for a in given.arrays)
    matched, cost = match(features, valid, offset[0], share[0], steps=steps)
    check_match(given, matched.numpy().astype(np.int32)[None, None], cost.numpy()[None, None])


@pytest.mark.parametrize("replace", [replace_all, replace_gathered])
@pytest.mark.parametrize(("p", "best"), [(2, 1), (3, 2), (8, 1)])
def test_the_replacement_is_that_of_the_specification(
    replace: Callable[..., tuple[torch.Tensor, torch.Tensor]], p: int, best: int
) -> None:
    given = make_replace_operands((1, 4, 3), 5, p, "float32", best=best)
    detail, inside, offset, share = (torch.from_numpy(a[0]) for a in given.arrays)
    mixed, missing = replace(detail, inside[0], offset, share)
    check_replace(given, mixed.numpy()[None], missing.numpy()[None, None])
