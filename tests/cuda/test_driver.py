"""The layer over the driver: contexts, and what is said when something is wrong."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from cuda.bindings import driver as real

from iic_rt.cuda.driver import Driver, check_api
from iic_rt.errors import BackendError
from tests.conftest import has_gpu
from tests.cuda.fake_driver import PRIMARY, FakeApi

ERROR = real.CUresult
APPLICATION = 0x77  # a context of the application's own


def active(api: FakeApi) -> Driver:
    driver = Driver(api)
    driver.activate()
    return driver


def test_the_fake_takes_what_the_bindings_take() -> None:
    faked = [name for name in vars(FakeApi) if name.startswith("cu")]
    assert len(faked) > 30
    for name in faked:
        ours = list(inspect.signature(getattr(FakeApi, name)).parameters)[1:]
        assert ours == list(inspect.signature(getattr(real, name)).parameters), name


@pytest.mark.skipif(has_gpu(), reason="there is a driver")
def test_without_a_driver_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom iic_rt.cuda.driver import load_api\nfrom iic_rt.errors import BackendError\n"
        "try: load_api()\nexcept BackendError as error: print(error)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('cuda', 'tensorrt', 'tensorrt_rtx')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    message, modules = done.stdout.splitlines()
    assert "no NVIDIA driver" in message
    assert "install" in message
    assert modules == "[]"


def test_a_driver_that_finds_no_device(discrete: FakeApi) -> None:
    discrete.init_status = ERROR.CUDA_ERROR_NO_DEVICE
    with pytest.raises(BackendError, match=r"no NVIDIA GPU is visible.*CUDA_VISIBLE_DEVICES"):
        check_api(discrete)


def test_a_driver_that_is_too_old(discrete: FakeApi) -> None:
    discrete.version = 11040
    with pytest.raises(BackendError, match=r"supports CUDA 11\.4.*12\.0 or newer is needed; update the driver"):
        check_api(discrete)


def test_a_driver_that_lacks_a_function(discrete: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: FakeApi, flags: int) -> None:
        raise RuntimeError('Function "cuInit" not found')

    monkeypatch.setattr(FakeApi, "cuInit", missing)
    with pytest.raises(BackendError, match=r"cannot be used.*not found.*update it"):
        check_api(discrete)


def test_facts(api: FakeApi) -> None:
    device = Driver(api).device
    assert (device.ordinal, device.name, device.compute_capability) == (0, "Fake GPU", "8.7")
    assert (device.integrated, device.total_bytes, device.driver_version) == (api.integrated, 1 << 30, "13.0")


def test_the_primary_context_is_retained_and_released(discrete: FakeApi) -> None:
    driver = Driver(discrete)
    assert (discrete.current, discrete.retained) == (0, 1)
    driver.activate()
    assert discrete.current == PRIMARY
    driver.close()
    driver.close()
    assert (discrete.current, discrete.retained) == (0, 0)


def test_two_on_the_primary_context_close_in_any_order(discrete: FakeApi) -> None:
    first, second = Driver(discrete), Driver(discrete)
    first.close()
    assert discrete.retained == 1
    second.activate()
    assert discrete.current == PRIMARY
    second.close()
    assert discrete.retained == 0


def test_the_context_of_the_application_is_used(discrete: FakeApi) -> None:
    discrete.current = APPLICATION
    driver = Driver(discrete)
    driver.activate()
    driver.close()
    assert (discrete.current, discrete.retained) == (APPLICATION, 0)
    assert "cuDevicePrimaryCtxRetain" not in discrete.log  # would take memory for a context that nobody uses
    discrete.retained = 1  # another library works on the primary one
    Driver(discrete).close()
    assert (discrete.current, discrete.retained) == (APPLICATION, 1)


def test_a_primary_context_that_was_current_stays_so(discrete: FakeApi) -> None:
    first = active(discrete)  # stands for an application on the primary context
    primary = discrete.current
    Driver(discrete).close()
    assert discrete.current == primary
    first.close()
    assert (discrete.current, discrete.retained) == (0, 0)


def test_a_driver_without_a_function_is_told(discrete: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = active(discrete)

    def lacking() -> None:
        raise RuntimeError("cuMemGetInfo_v9 not found")

    monkeypatch.setattr(discrete, "cuMemGetInfo", lacking)
    with pytest.raises(BackendError, match=r"cuMemGetInfo_v9 not found.*cuda-bindings"):
        driver.memory_info()
    driver.close()


def test_another_thread_gets_the_context_and_a_foreign_one_stays(discrete: FakeApi) -> None:
    driver = Driver(discrete)
    discrete.current = 0
    driver.activate()
    assert discrete.current == PRIMARY
    discrete.current = APPLICATION
    with pytest.raises(BackendError, match="another CUDA context is current on this thread"):
        driver.activate()
    assert discrete.current == APPLICATION


def test_out_of_memory_names_what_was_asked_and_what_is_left(discrete: FakeApi) -> None:
    discrete.total = 16 << 20
    driver = active(discrete)
    address = driver.allocate(12 << 20)
    with pytest.raises(BackendError) as caught:
        driver.allocate(8 << 20)
    for part in ("8.0 MiB asked", "4.0 MiB of 16.0 MiB free", "lower working_size", "other processes"):
        assert part in str(caught.value)
    driver.free(address)
    driver.allocate(8 << 20)  # running out is not the end


def test_a_sticky_error_is_said_at_once_and_for_ever(discrete: FakeApi) -> None:
    driver = active(discrete)
    address = driver.allocate(100)
    discrete.status = ERROR.CUDA_ERROR_ILLEGAL_ADDRESS
    with pytest.raises(BackendError, match=r"ILLEGAL_ADDRESS.*in this process; restart it") as first:
        driver.create_event()
    assert driver.poisoned
    before = len(discrete.log)
    for call in (driver.activate, driver.memory_info, driver.create_stream, lambda: driver.allocate(1)):
        with pytest.raises(BackendError) as again:
            call()
        assert str(again.value) == str(first.value)
    driver.free(address)
    assert len(discrete.log) == before  # the driver is not asked any more
    driver.close()


def test_other_errors_are_not_sticky(discrete: FakeApi) -> None:
    driver = active(discrete)
    with pytest.raises(BackendError, match="CUDA failed while reading a time: CUDA_ERROR_INVALID_HANDLE"):
        driver.elapsed_ms(driver.create_event(), driver.create_event())
    assert not driver.poisoned


class TypedApi(FakeApi):
    """Shows every call's arguments to the bindings first, which check them before they miss the driver's library."""

    def __getattribute__(self, name: str) -> object:
        found = super().__getattribute__(name)
        if not name.startswith("cu") or not name[2].isupper():
            return found

        def call(*arguments: object) -> object:
            with pytest.raises(RuntimeError, match="driver library"):
                getattr(real, name)(*arguments)
            return found(*arguments)

        return call


@pytest.mark.skipif(has_gpu(), reason="there the calls themselves would be made")
def test_the_bindings_take_what_the_driver_gives_them() -> None:
    api = TypedApi()
    driver = active(api)
    stream, events, block = driver.create_stream(), [driver.create_event() for _ in range(2)], driver.allocate(512)
    page = np.zeros(3 * 4096, np.uint8)
    host = page.ctypes.data + -page.ctypes.data % 4096
    driver.pin(host, 4096)
    for captured in (False, True):
        if captured:
            driver.begin_capture(stream)
        driver.copy_in(block, host, 100, stream)
        driver.copy_rows(block, 20, block + 256, 30, 10, 4, stream)
        driver.copy_out(host, block, 100, stream)
        for event in events:
            driver.record_event(event, stream, captured=captured)
    graph = driver.end_capture(stream)
    driver.launch_graph(graph, stream)
    driver.order(stream, events[0])
    driver.wait_event(driver_event := driver.create_event())
    driver.record_event(driver_event, stream)
    driver.wait_event(driver_event)
    assert driver.elapsed_ms(*events) == 1
    assert driver.memory_info() == ((1 << 30) - 512, 1 << 30)
    driver.begin_capture(stream)
    driver.drop_capture(stream)
    driver.destroy_graph(graph)
    driver.unpin(host)
    driver.free(block)
    driver.destroy_event(driver_event)
    driver.destroy_stream(stream)
    driver.activate()
    Driver(api).close()  # the context is current by now
    driver.close()
    check = {name for name in vars(FakeApi) if name.startswith("cu")} - {"cuInit", "cuGetErrorString"}
    assert check <= set(api.log)
