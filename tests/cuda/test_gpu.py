"""The same on a real device: the driver layer, the backends against ONNX Runtime, and other libraries' arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.registry import BACKENDS
from iic_rt.cuda.arrays import DeviceArray, as_device_array, copy_pixels, make_device_array
from iic_rt.cuda.driver import Driver, load_api
from iic_rt.cuda.graph import CudaEvent, capture
from iic_rt.cuda.memory import MappedBuffer, Memory, driver_allocator
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError
from tests.cuda.conftest import of_buffer
from tests.pipeline.test_runner import scene

pytestmark = pytest.mark.gpu

# Engines compute with TensorFloat-32 and in another order, and a pixel whose confidence lies at the threshold may be
# kept one iteration earlier or later: single pixels differ, the picture does not.
MEAN_STEPS = {"fp32": 1.0, "fp16": 2.0}  # of 8 bits, over the hole


@pytest.fixture
def real() -> Iterator[Memory]:
    driver = Driver(load_api())
    made = Memory(Stream(driver), driver_allocator(driver))
    yield made
    made.stream.close()


def read(memory: Memory, array: DeviceArray) -> np.ndarray:
    buffer = memory.buffer(array.shape, "uint8")
    copy_pixels(array, of_buffer(buffer))
    return buffer.read().copy()


def test_facts(real: Memory) -> None:
    device = real.stream.driver.device
    assert device.name
    assert float(device.compute_capability) >= 5
    free, total = real.stream.driver.memory_info()
    assert 0 < free <= total
    assert abs(total - device.total_bytes) < total / 2


@pytest.mark.parametrize("mapped", [False, True])
def test_buffers_and_captured_copies(real: Memory, rng: np.random.Generator, mapped: bool) -> None:
    shape = (257, 129, 3)
    buffer = MappedBuffer(real, shape, "uint8") if mapped else real.buffer(shape, "uint8")
    target = real.buffer(shape, "uint8")

    def work() -> list[CudaEvent]:
        first = CudaEvent(real.stream)
        buffer.upload()
        copy_pixels(of_buffer(buffer), of_buffer(target))
        target.download()
        return [first, CudaEvent(real.stream)]

    graph = capture(real.stream, work)
    for _ in range(3):
        pixels = rng.integers(0, 256, shape, np.uint8)
        buffer.stage(pixels)
        first, last = graph.enqueue()
        real.stream.wait()
        np.testing.assert_array_equal(target.host, pixels)
        assert last.ms_since(first) > 0


def test_memory_that_is_not_there(real: Memory) -> None:
    with pytest.raises(BackendError, match=r"MiB asked.*lower working_size"):
        real.allocate(real.stream.driver.device.total_bytes * 2)
    real.buffer((4,), "uint8").write(np.zeros(4, np.uint8))
    real.stream.wait()


def open_backend(name: str, **options: object) -> Inpainter:
    try:
        BACKENDS[name].version()
    except BackendError as error:
        pytest.skip(str(error))
    return Inpainter(backend=name, **({"options": InpaintOptions(grow=0)} | options))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_the_inpainter(name: str, precision: str, rng: np.random.Generator) -> None:
    with Inpainter(backend="onnxruntime", options=InpaintOptions(grow=0)) as reference:
        if precision not in reference.bundle.precisions:
            pytest.skip(f"the shipped bundle has no graphs in {precision}")
        with open_backend(name, precision=precision) as ours:
            for side in (256, 640, 1000, 640):
                image, mask = scene(side, rng)
                settings: tuple[dict[str, object], ...] = ({}, {"budget_ms": 1e6}, {"outputs": ("history",)})
                variants = [InpaintOptions(grow=0, **changes) for changes in settings]
                expected = reference.inpaint(image, mask).image
                results = [ours.inpaint(image, mask, options=options).image for options in variants]
                for found in results:
                    np.testing.assert_array_equal(found[mask == 0], image[mask == 0])
                    steps = np.abs(found.astype(int) - expected)[mask > 0]
                    assert steps.mean() < MEAN_STEPS[precision]
                np.testing.assert_array_equal(results[0], results[1])  # captured, and graph by graph


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_the_stream_of_pytorch(name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    image, mask = scene(640, rng)
    with open_backend(name) as own:
        expected = own.inpaint(image, mask).image
    for stream in (torch.cuda.Stream(), torch.cuda.default_stream()):
        with open_backend(name, stream=stream) as ours:
            np.testing.assert_array_equal(ours.inpaint(image, mask).image, expected)


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx"])
def test_a_picture_of_pytorch_in_place(name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    image, mask = scene(640, rng)
    with open_backend(name) as ours:
        expected = ours.inpaint(image, mask).image
        picture = torch.from_numpy(image.copy()).cuda()
        assert ours.inpaint(picture, mask, out=picture).image is picture
        np.testing.assert_array_equal(picture.cpu().numpy(), expected)
        made = ours.inpaint(torch.from_numpy(image).cuda(), torch.from_numpy(mask).cuda()).image
        np.testing.assert_array_equal(torch.from_dlpack(made).cpu().numpy(), expected)


def test_arrays_of_pytorch(real: Memory, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    pixels = rng.integers(0, 255, (480, 640, 3), np.uint8)
    tensor = torch.from_numpy(pixels).cuda() + 1
    array = as_device_array(tensor, real.stream)
    assert array.address == tensor.data_ptr()
    np.testing.assert_array_equal(read(real, array), pixels + 1)
    ours = make_device_array(real, pixels.shape)
    copy_pixels(array, ours)
    back = torch.from_dlpack(ours)
    assert back.data_ptr() == ours.address
    np.testing.assert_array_equal((back + 1).cpu().numpy(), pixels + 2)


def test_arrays_and_context_of_pycuda(rng: np.random.Generator) -> None:
    pytest.importorskip("pycuda")
    import pycuda.driver as cuda
    from pycuda import gpuarray

    cuda.init()
    context = cuda.Device(0).make_context()
    try:
        driver = Driver(load_api())
        memory = Memory(Stream(driver, cuda.Stream()), driver_allocator(driver))
        pixels = rng.integers(0, 256, (480, 640, 3), np.uint8)
        array = as_device_array(gpuarray.to_gpu(pixels), memory.stream)
        np.testing.assert_array_equal(read(memory, array), pixels)
        ours = make_device_array(memory, pixels.shape)
        copy_pixels(array, ours)
        memory.stream.wait()
        back = gpuarray.GPUArray(ours.shape, ours.dtype, gpudata=ours.address, base=ours)
        np.testing.assert_array_equal(back.get(), pixels)
        memory.stream.close()
        assert cuda.Context.get_current() is not None  # the application's own stays
    finally:
        context.pop()
