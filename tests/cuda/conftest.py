"""The runtime on a fake device."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends import cuda, tensorrt
from iic_rt.cuda.arrays import DeviceArray
from iic_rt.cuda.dlpack import dense_strides
from iic_rt.cuda.driver import Driver, check_api
from iic_rt.cuda.memory import CudaBuffer, Memory, driver_allocator
from iic_rt.cuda.stream import Stream
from tests.cuda.fake_driver import FakeApi
from tests.cuda.fake_engine import FakeLibrary, FakeStore

SIZE = 64


@pytest.fixture(params=[False, True], ids=["discrete", "integrated"])
def api(request: pytest.FixtureRequest) -> FakeApi:
    return FakeApi(integrated=request.param)


@pytest.fixture
def discrete() -> FakeApi:
    return FakeApi()


def make_memory(api: FakeApi, stream: int | None = None) -> Memory:
    driver = Driver(api)
    return Memory(Stream(driver, stream), driver_allocator(driver))


def of_buffer(buffer: CudaBuffer) -> DeviceArray:
    """A uint8 buffer's memory as a picture."""
    return DeviceArray(buffer.stream, buffer.address, buffer.shape, dense_strides(buffer.shape), buffer)


def is_empty(api: FakeApi) -> bool:
    """Whether nothing was left on the device, and the context given back."""
    return not (api.blocks or api.pinned or api.graphs or api.templates or api.events or api.retained)


@pytest.fixture
def memory(api: FakeApi) -> Iterator[Memory]:
    made = make_memory(api)
    yield made
    made.stream.close()


@pytest.fixture
def install(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[FakeApi], dict[str, FakeLibrary]]:
    """Makes the backends find a fake device and fake engines; returns the libraries by target."""

    monkeypatch.setenv("IIC_RT_CACHE", str(tmp_path_factory.mktemp("cache")))

    def install(api: FakeApi) -> dict[str, FakeLibrary]:
        libraries = {target: FakeLibrary(api, target) for target in ("tensorrt", "tensorrt-rtx")}

        def load_api() -> FakeApi:
            check_api(api)
            return api

        def open_library(target: str) -> FakeLibrary:
            load_api()
            return libraries[target]

        monkeypatch.setattr(cuda, "load_api", load_api)
        monkeypatch.setattr(tensorrt, "load_api", load_api)
        monkeypatch.setattr(tensorrt, "_open_library", open_library)
        monkeypatch.setattr(tensorrt, "_open_store", lambda bundle, library, compute_capability: FakeStore(bundle))
        return libraries

    return install


@pytest.fixture
def open_inpainter(
    install: Callable[[FakeApi], dict[str, FakeLibrary]],
) -> Iterator[Callable[..., Inpainter]]:
    """Opens inpainters on a fake device, and closes them at the end."""
    opened: list[Inpainter] = []

    def open_on(api: FakeApi, **options: object) -> Inpainter:
        install(api)
        chosen: dict[str, object] = {"backend": "tensorrt", "precision": "fp32", "working_size": SIZE}
        chosen["options"] = InpaintOptions(grow=0, outputs=("confidence", "hole_left"))
        opened.append(Inpainter(**(chosen | options)))
        return opened[-1]

    yield open_on
    for inpainter in opened:
        inpainter.close()
