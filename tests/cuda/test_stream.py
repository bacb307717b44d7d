"""Streams of all libraries."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from iic_rt.cuda.stream import stream_address
from iic_rt.errors import BackendError


class Protocol:
    handle = 1  # the protocol comes first

    def __init__(self, version: int = 0) -> None:
        self._version = version

    def __cuda_stream__(self) -> tuple[int, int]:
        return self._version, 0x70


NAMED = [SimpleNamespace(**{name: 0x70}) for name in ("handle", "ptr", "cuda_stream")]


@pytest.mark.parametrize("stream", [0x70, np.int64(0x70), Protocol(), *NAMED])
def test_address(stream: object) -> None:
    assert stream_address(stream) == 0x70


@pytest.mark.parametrize("stream", ["0x", True, None, object(), SimpleNamespace(handle=None)])
def test_what_is_no_stream(stream: object) -> None:
    with pytest.raises(BackendError, match=r"give an address as int, or an object with __cuda_stream__"):
        stream_address(stream)


def test_a_newer_protocol() -> None:
    with pytest.raises(BackendError, match="version 1 of the __cuda_stream__ protocol; 0 is known"):
        stream_address(Protocol(1))
