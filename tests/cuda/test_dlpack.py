"""Capsules of DLPack, exchanged with numpy and PyTorch, which know the ABI."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from iic_rt.cuda.dlpack import UINT8, Tensor, dense_strides, from_capsule, to_capsule

CPU = (1, 0)


class Lender:
    """Host memory as a producer of capsules."""

    def __init__(self) -> None:
        self.pixels = np.arange(5 * 8 * 3, dtype=np.uint8).reshape(5, 8, 3)[:, :7]  # rows with a gap

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU

    def __dlpack__(self, **_options: object) -> object:
        tensor = Tensor(self.pixels.ctypes.data, CPU, UINT8, self.pixels.shape, self.pixels.strides)
        return to_capsule(tensor, self)


def test_numpy_reads_what_we_lend() -> None:
    lender = Lender()
    np.testing.assert_array_equal(np.from_dlpack(lender), lender.pixels)


def test_torch_reads_what_we_lend() -> None:
    torch = pytest.importorskip("torch")
    lender = Lender()
    tensor = torch.from_dlpack(lender)
    np.testing.assert_array_equal(tensor.numpy(), lender.pixels)
    assert tensor.data_ptr() == lender.pixels.ctypes.data


def test_the_owner_lives_as_long_as_the_borrower() -> None:
    lender = Lender()
    gone = weakref.ref(lender)
    borrowed = np.from_dlpack(lender)
    del lender
    assert gone() is not None
    assert borrowed[4, 6, 2] == (4 * 8 + 6) * 3 + 2
    del borrowed
    gc.collect()
    assert gone() is None


def test_a_capsule_that_nobody_opens_gives_back() -> None:
    lender = Lender()
    gone, capsule = weakref.ref(lender), lender.__dlpack__()
    del lender
    assert gone() is not None
    del capsule
    assert gone() is None


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_we_read_what_others_lend(library: str) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    array = pixels if library == "numpy" else pytest.importorskip("torch").from_numpy(pixels)
    tensor, give_back = from_capsule(array.__dlpack__())
    assert tensor == (pixels.ctypes.data, CPU, UINT8, (4, 5, 3), (15, 3, 1))
    give_back()
    give_back()  # once is enough


def test_what_we_borrow_stays_until_it_is_given_back() -> None:
    lender = Lender()
    gone = weakref.ref(lender)
    tensor, give_back = from_capsule(lender.__dlpack__())
    assert tensor.strides == lender.pixels.strides
    del lender
    assert gone() is not None
    give_back()
    assert gone() is None


def test_a_capsule_opens_once() -> None:
    capsule = Lender().__dlpack__()
    _, give_back = from_capsule(capsule)
    with pytest.raises(ValueError, match="no unused capsule"):
        from_capsule(capsule)
    give_back()
    with pytest.raises(ValueError, match="no unused capsule"):
        from_capsule(object())


def test_dense_strides() -> None:
    assert dense_strides((4, 5, 3)) == (15, 3, 1)
    assert dense_strides((4, 5)) == (5, 1)
