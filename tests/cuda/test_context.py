"""After a public call the thread's context is what it was before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import BackendError, InputError
from tests.cuda.conftest import SIZE, is_empty
from tests.cuda.fake_driver import PRIMARY, FakeApi
from tests.cuda.test_arrays import Interface
from tests.pipeline.test_runner import scene

APPLICATION = 0x77  # a context of the application's own
NONE = 0

Open = Callable[..., Inpainter]


@pytest.fixture(params=[NONE, APPLICATION, PRIMARY])
def found(request: pytest.FixtureRequest, api: FakeApi) -> int:
    """The context that is current before everything."""
    api.current = request.param
    api.retained = int(request.param == PRIMARY)  # by the application
    return int(request.param)


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_every_call_leaves_the_thread_as_it_was(
    open_inpainter: Open, api: FakeApi, found: int, rng: np.random.Generator, backend: str
) -> None:
    held, (image, mask) = api.retained, scene(320, rng)
    ours = open_inpainter(api, backend=backend)
    assert api.current == found
    for changes in ({}, {}, {"budget_ms": 1e6}, {"outputs": ("history",)}, {"upsample": False}):
        ours.inpaint(image, mask, options=InpaintOptions(grow=0, **changes))
        assert api.current == found
    with pytest.raises(InputError):
        ours.inpaint(image, mask[:-1])
    assert api.current == found
    ours.close()
    ours.close()
    assert (api.current, api.retained) == (found, held)


def test_images_that_are_lent_leave_it_too(open_inpainter: Open, api: FakeApi, found: int) -> None:
    ours, picture = open_inpainter(api), Interface(api, (160, 300, 3))
    mask = np.zeros((160, 300), np.uint8)
    mask[40:60, 50:80] = 255
    result = ours.inpaint(picture, mask).image
    assert result.__cuda_array_interface__["data"][0] == result.address
    result.__dlpack__()
    ours.inpaint(result, mask, out=picture)
    assert api.current == found


def test_an_error_of_the_device_leaves_it_too(
    open_inpainter: Open, api: FakeApi, found: int, rng: np.random.Generator
) -> None:
    ours = open_inpainter(api)
    api.fail_allocation = api._allocations + 3
    with pytest.raises(BackendError, match="lower working_size"):
        ours.inpaint(*scene(320, rng))
    assert api.current == found


def test_an_inpainter_that_does_not_open_leaves_it_too(
    install: Callable[[FakeApi], object], api: FakeApi, found: int
) -> None:
    held = api.retained
    install(api)
    api.fail_allocation = 2
    with pytest.raises(BackendError, match="lower working_size"):
        Inpainter(backend="tensorrt", precision="fp32", working_size=SIZE)
    assert api.current == found
    assert api.retained == held or found != APPLICATION


def test_an_inpainter_is_closed_wherever_the_garbage_collector_runs(
    install: Callable[[FakeApi], object], api: FakeApi, rng: np.random.Generator
) -> None:
    install(api)
    forgotten = Inpainter(backend="tensorrt", precision="fp32", working_size=SIZE)
    forgotten.inpaint(*scene(320, rng))
    api.current = APPLICATION  # of the thread that it runs on
    del forgotten
    assert api.current == APPLICATION
    assert is_empty(api)


def test_another_context_of_the_application_is_refused_and_stays(
    open_inpainter: Open, api: FakeApi, rng: np.random.Generator
) -> None:
    ours = open_inpainter(api)
    api.current = APPLICATION
    with pytest.raises(BackendError, match="another CUDA context is current"):
        ours.inpaint(*scene(320, rng))
    assert api.current == APPLICATION
    ours.close()
    assert api.current == APPLICATION
    assert is_empty(api)


def test_a_call_costs_a_few_questions_more(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    """The context is changed twice a call, not twice for every piece of work."""
    ours = open_inpainter(api)
    ours.inpaint(*scene(320, rng))
    before = api.counts()["cuCtxSetCurrent"]
    ours.inpaint(*scene(320, rng))
    assert api.counts()["cuCtxSetCurrent"] == before + 2
