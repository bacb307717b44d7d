"""The torch versions that the kernels are timed beside compute the same; here on the CPU in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cpp_ext.bench.torch_peers import replace_all, replace_gathered, search_all, search_gathered
from cpp_ext.cases import check_replace, check_search, make_replace_operands, make_search_operands


@pytest.mark.parametrize("search", [search_all, search_gathered])
@pytest.mark.parametrize(("best", "sweeps", "exact"), [(1, 0, True), (1, 3, True), (1, 0, False), (4, 0, False)])
def test_the_search_is_that_of_the_specification(
    search: Callable[..., tuple[torch.Tensor, torch.Tensor]], best: int, sweeps: int, exact: bool
) -> None:
    given = make_search_operands((1, 9, 12), 20, "float32", best=best, sweeps=sweeps, exact=exact)
    tensors = (torch.from_numpy(a[0]) for a in given.arrays)
    options = {"best": best, "scale": given.scale, "coherence": given.coherence, "sweeps": sweeps}
    source, share = (t.numpy().reshape(1, best, 9, 12) for t in search(*tensors, **options))
    check_search(given, source.astype(np.int32), share)


def test_an_image_without_a_valid_patch_stays_zero() -> None:
    given = make_search_operands((1, 4, 5), 3, "float32")
    given.weight[:] = 0
    tensors = (torch.from_numpy(a[0]) for a in given.arrays)
    for output in search_all(*tensors, best=1, scale=4.0, coherence=1.0, sweeps=1):
        assert not output.any()


@pytest.mark.parametrize("replace", [replace_all, replace_gathered])
@pytest.mark.parametrize(("half", "best"), [(2, 1), (3, 2), (8, 1)])
def test_the_replacement_is_that_of_the_specification(
    replace: Callable[..., tuple[torch.Tensor, torch.Tensor]], half: int, best: int
) -> None:
    given = make_replace_operands((1, 4, 3), 5, half, "float32", best=best)
    detail, inside, source, share = (torch.from_numpy(a[0]) for a in given.arrays)
    mixed, missing = replace(detail, inside[0], source.long(), share)
    check_replace(given, mixed.numpy()[None], missing.numpy()[None, None])
