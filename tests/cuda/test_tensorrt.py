"""The backends themselves: what they open, bind and refuse, and how ``auto`` chooses."""

from __future__ import annotations

import gc
import json
import logging
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.backends import tensorrt
from iic_rt.backends.registry import BACKENDS, backend_versions, open_backend
from iic_rt.backends.tensorrt import TensorRTBackend
from iic_rt.bundle.manifest import Bundle, load_bundle
from iic_rt.errors import BackendError, BundleError
from tests.cuda.conftest import SIZE, is_empty
from tests.cuda.fake_driver import FakeApi
from tests.cuda.fake_engine import (
    FakeContext,
    FakeEngine,
    FakeLibrary,
    FakeRtxContext,
    FakeRuntime,
    FakeStore,
    Strategy,
)
from tests.pipeline.test_runner import scene

Install = Callable[[FakeApi], dict[str, FakeLibrary]]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("edge")


def open_tensorrt(bundle: Bundle, precision: str | None = "fp32", stream: object = None) -> TensorRTBackend:
    return TensorRTBackend(bundle, precision=precision, threads=None, stream=stream)


@pytest.fixture
def backend(install: Install, discrete: FakeApi, bundle: Bundle) -> Iterator[TensorRTBackend]:
    install(discrete)
    opened = open_tensorrt(bundle)
    yield opened
    opened.close()


def step(backend: TensorRTBackend, size: int = SIZE) -> tuple[dict[str, object], dict[str, object]]:
    shapes = {"y": (1, 3, size, size), "m": (1, 1, size, size), "c": (1, 1, size, size)}
    inputs = {name: backend.allocate(shape, "float32") for name, shape in shapes.items()}
    outputs = {f"{name}_out": backend.allocate(shape, "float32") for name, shape in shapes.items()}
    return inputs | {"first": backend.allocate((1,), "float32")}, outputs


def test_an_engine_is_loaded_once_and_scratch_is_shared(install: Install, discrete: FakeApi, bundle: Bundle) -> None:
    library = install(discrete)["tensorrt"]
    backend = open_tensorrt(bundle)
    assert [graph for graph, _ in library.deserialised] == ["step"]  # opening proves that engines load here
    assert library.plugin_loads == 1
    tensors = step(backend)
    before = len(discrete.blocks)
    bindings = [backend.bind("step", *tensors) for _ in range(3)]
    assert len(library.deserialised) == 2
    assert len(discrete.blocks) == before + 1
    scratch = {binding._context[0]._scratch for binding in bindings}
    assert len(scratch) == 1
    backend.bind("step", *step(backend, 96))
    assert len(library.deserialised) == 3
    backend.close()
    assert not discrete.blocks


def test_larger_scratch_leaves_earlier_bindings_theirs(
    backend: TensorRTBackend, discrete: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend.bind("step", *step(backend))
    monkeypatch.setattr("tests.cuda.fake_engine.FakeEngine.device_memory_size_v2", 5000)
    second = backend.bind("step", *step(backend))
    small, large = (binding._context[0]._scratch for binding in (first, second))
    assert (small[1], large[1]) == (1000, 5000)
    discrete.view(*small)
    del first
    backend.wait()
    with pytest.raises(AssertionError, match="freed"):
        discrete.view(*small)


def test_binding_refuses_what_does_not_fit(backend: TensorRTBackend, bundle: Bundle) -> None:
    inputs, outputs = step(backend)
    other = backend.allocate((1, 1, SIZE, SIZE), "float16")
    flat = backend.allocate((1, 1, SIZE, SIZE // 2), "float32")
    cases = [
        ("steps", inputs, outputs, "no graph 'steps'; it has: prepare, step"),
        ("step", {"y": inputs["y"]}, outputs, "'step' has y, m, c, first, not y"),
        ("step", inputs | {"m": other}, outputs, "'m' of 'step' is float32, and the buffer float16"),
        ("step", inputs, outputs | {"m_out": flat}, r"'m_out' of 'step' has shape .* and the buffer"),
    ]
    for graph, given, taken, message in cases:
        with pytest.raises(BackendError, match=message):
            backend.bind(graph, given, taken)
    second = open_tensorrt(bundle)
    with pytest.raises(BackendError, match="buffers that it allocated itself"):
        backend.bind("step", inputs | {"m": second.allocate((1, 1, SIZE, SIZE), "float32")}, outputs)
    second.close()


def test_a_binding_that_outlives_the_backend(backend: TensorRTBackend) -> None:
    binding = backend.bind("step", *step(backend))
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        binding.enqueue()
    del binding


def test_a_library_that_fails_to_run(
    backend: TensorRTBackend, discrete: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    binding = backend.bind("step", *step(backend))
    monkeypatch.setattr(FakeContext, "execute_async_v3", lambda self, stream: False)
    backend._library.problems.append("enqueue: no kernel")
    with pytest.raises(BackendError, match=r"tensorrt 11\.0\.0 failed to run 'step': enqueue: no kernel"):
        binding.enqueue()

    def fail(self: FakeContext, stream: int) -> bool:
        discrete.status = discrete.CUresult.CUDA_ERROR_LAUNCH_FAILED
        return False

    monkeypatch.setattr(FakeContext, "execute_async_v3", fail)
    with pytest.raises(BackendError, match="restart"):
        binding.enqueue()


def test_an_engine_of_another_device(
    install: Install, discrete: FakeApi, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(discrete)
    monkeypatch.setattr(FakeStore, "engine", lambda self, graph, shapes: b"of another device")
    with pytest.raises(BackendError) as caught:
        open_tensorrt(bundle)
    for part in ("Fake GPU (compute capability 8.7)", "incompatible device", "`iic-rt engines prune`"):
        assert part in str(caught.value)
    assert is_empty(discrete)


def test_a_library_that_needs_a_newer_driver(install: Install, discrete: FakeApi, bundle: Bundle) -> None:
    library = install(discrete)["tensorrt"]

    def refuse(logger: object) -> None:
        library.problems.append("CUDA initialization failure with error: 35")
        raise TypeError("factory function returned nullptr")

    library.trt.Runtime = refuse
    with pytest.raises(BackendError, match=r"driver for CUDA 13\.0 .*error: 35\. Update the driver"):
        open_tensorrt(bundle)
    assert discrete.retained == 0


def test_precisions(install: Install, discrete: FakeApi, bundle: Bundle) -> None:
    install(discrete)
    fp32, both = {"fp32": bundle.graphs}, {"fp32": bundle.graphs, "fp16": bundle.graphs}
    for precisions, asked, expected in [(fp32, None, "fp32"), (both, None, "fp16"), (both, "fp32", "fp32")]:
        opened = open_tensorrt(replace(bundle, precisions=precisions), asked)
        assert (opened.precision, opened.bundle.precision) == (expected, expected)
        opened.close()
    with pytest.raises(BackendError, match="tensorrt computes in fp16 or fp32, not in 'bf16'"):
        open_tensorrt(bundle, "bf16")
    with pytest.raises(BundleError, match="no graphs in 'fp16'"):
        open_tensorrt(replace(bundle, precisions=fp32), "fp16")
    assert discrete.retained == 0


def test_the_runtime_goes_before_the_context(
    install: Install, discrete: FakeApi, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(discrete)
    retained: list[int] = []
    monkeypatch.setattr(FakeRuntime, "__del__", lambda _: retained.append(discrete.retained), raising=False)
    backend = open_tensorrt(bundle)
    held = discrete.retained
    backend.close()
    assert retained == [held]  # and the backend itself is still there
    assert discrete.retained < held


def test_the_stream_of_the_caller_is_kept_until_close(install: Install, discrete: FakeApi, bundle: Bundle) -> None:
    install(discrete)
    stream = type("Stream", (), {"handle": 2})()
    gone = weakref.ref(stream)
    backend = open_tensorrt(bundle, stream=stream)
    del stream
    gc.collect()
    assert gone() is not None
    backend.close()
    gc.collect()
    assert gone() is None


def test_a_stream_of_pycuda_brings_memory_from_pycuda(
    install: Install, discrete: FakeApi, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(discrete)
    package, driver, sizes = ModuleType("pycuda"), ModuleType("pycuda.driver"), []
    package.driver, driver.Error = driver, type("Error", (Exception,), {})
    real = discrete.cuMemAlloc

    class Allocation:
        def __init__(self, size: int) -> None:
            sizes.append(size)
            self._address = real(size)[1]

        def __int__(self) -> int:
            return self._address

        def free(self) -> None:
            discrete.cuMemFree(self._address)

    driver.mem_alloc = Allocation
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    stream = type("Stream", (), {"handle": 2, "__module__": "pycuda._driver"})()
    backend = open_tensorrt(bundle, stream=stream)
    backend.allocate((300,), "uint8")
    assert sizes == [300]
    assert backend.stream.handle == 2
    backend.close()
    assert not discrete.blocks
    other = open_tensorrt(bundle, stream=SimpleNamespace(handle=2))
    other.allocate((300,), "uint8")
    assert sizes == [300]
    other.close()
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(BackendError, match="pycuda cannot be imported"):
        open_tensorrt(bundle, stream=stream)
    assert discrete.retained == 0


def test_what_is_no_stream(install: Install, discrete: FakeApi, bundle: Bundle) -> None:
    install(discrete)
    with pytest.raises(BackendError, match="stream is a str"):
        open_tensorrt(bundle, stream="default")
    assert discrete.retained == 0


def test_auto_takes_the_fastest_that_loads(
    install: Install, discrete: FakeApi, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(BACKENDS)[:2] == ["tensorrt", "tensorrt-rtx"]
    assert list(BACKENDS)[-1] == "onnxruntime"
    libraries = install(discrete)
    with caplog.at_level(logging.INFO, "iic_rt"):
        opened = open_backend("auto", bundle)
    assert opened.name == "tensorrt"
    assert "backend tensorrt chosen" in caplog.messages[-1]
    opened.close()

    def missing() -> str:
        raise BackendError("there is no plugin")

    libraries["tensorrt"].load_plugin = missing
    with caplog.at_level(logging.INFO, "iic_rt"):
        opened = open_backend("auto", bundle)
    assert opened.name == "tensorrt-rtx"
    assert any("passed over, tensorrt: there is no plugin" in message for message in caplog.messages)
    opened.close()
    with pytest.raises(BackendError, match="there is no plugin"):
        open_backend("tensorrt", bundle)  # asked for by name
    assert discrete.retained == 0


def test_auto_passes_over_engines_that_do_not_fit(
    install: Install, discrete: FakeApi, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: FakeStore, graph: str, shapes: object) -> bytes:
        raise BundleError("the engines in the bundle do not fit")

    install(discrete)
    monkeypatch.setattr(FakeStore, "engine", refuse)
    assert open_backend("auto", bundle).name not in ("tensorrt", "tensorrt-rtx")
    with pytest.raises(BundleError, match="do not fit"):
        open_backend("tensorrt", bundle)


def test_info_tells_version_or_reason(install: Install, discrete: FakeApi) -> None:
    install(discrete)
    assert backend_versions()["tensorrt"] == {"version": "11.0.0"}
    discrete.version = 11040
    assert "update the driver" in backend_versions()["tensorrt-rtx"]["missing"]


def test_the_store_is_asked_for_this_device(
    install: Install, discrete: FakeApi, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries, asked = install(discrete), []

    class Store(FakeStore):
        def __init__(self, bundle: Bundle, library: FakeLibrary, compute_capability: str) -> None:
            super().__init__(bundle)
            asked.append((bundle.precision, library, compute_capability))

        def engine(self, graph: str, shapes: dict[str, tuple[int, ...]]) -> bytes:
            asked.append((graph, json.loads(super().engine(graph, shapes))["shapes"]["y"]))
            return super().engine(graph, shapes)

    monkeypatch.setattr(tensorrt, "_open_store", Store)
    open_tensorrt(bundle).close()
    size = bundle.working_size
    assert asked == [("fp32", libraries["tensorrt"], "8.7"), ("step", [1, 3, size, size])]
    assert np.prod(asked[1][1]) == 3 * size * size


def test_no_engine_is_asked_for_at_a_working_size_that_nobody_uses(
    install: Install, discrete: FakeApi, rng: np.random.Generator
) -> None:
    """Opening loads the engine of the loop, which may take minutes to build."""
    library = install(discrete)["tensorrt"]
    with Inpainter(backend="tensorrt", precision="fp32", working_size=SIZE) as ours:
        assert (ours.working_size, ours.bundle.working_size) == (SIZE, SIZE)
        ours.inpaint(*scene(64, rng))
    sizes = {tuple(json.loads(shapes)["y"]) for graph, shapes in library.deserialised if graph == "step"}
    assert sizes == {(1, 3, SIZE, SIZE)}


@pytest.mark.parametrize("module", ["tensorrt_rtx", "tensorrt_lean"])
def test_the_fake_has_what_the_library_has(module: str) -> None:
    trt = pytest.importorskip(module)
    pairs = [(FakeContext, trt.IExecutionContext), (FakeEngine, trt.ICudaEngine)]
    if module == "tensorrt_rtx":
        pairs += [(FakeRtxContext, trt.IExecutionContext)]
    for fake, real in pairs:
        names = [name for name in vars(fake) if not name.startswith("_")]
        assert names
        assert not [name for name in names if not hasattr(real, name)]
    assert hasattr(trt.Runtime, "deserialize_cuda_engine")
    assert trt.ExecutionContextAllocationStrategy.USER_MANAGED.name == Strategy.USER_MANAGED.name
