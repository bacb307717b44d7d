"""What of the measurement runs without a GPU does what it says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cpp_ext.bench import kernel_bench


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "kernels.json"
    monkeypatch.setattr(sys, "argv", ["kernel_bench", "--out", str(out)])
    with pytest.raises(SystemExit):
        kernel_bench.main()
    assert "sees no GPU" in capsys.readouterr().err
    assert not out.exists()


def test_the_timed_pictures_are_those_of_the_runtime() -> None:
    given = kernel_bench.picture(16, 0.3, "float16")
    assert given.sizes == (1, 4096, 76, 16)
    assert 0.25 < given.hole.mean() < 0.35
    np.testing.assert_array_equal(given.weight, 1 - given.hole)  # the torch peer has no weights
    assert np.isfinite(given.v).all()


def test_the_checked_cases_reach_every_kernel() -> None:
    descriptors = {sizes[2] for sizes in kernel_bench.CHECKED}
    assert min(descriptors) <= 80  # the first instance of the tensor-core kernel
    assert any(80 < d <= 128 for d in descriptors)  # the second
    assert max(descriptors) > 128  # the scalar kernel in float16
    assert any(sizes[3] > 384 for sizes in kernel_bench.CHECKED)  # three chunks of values
