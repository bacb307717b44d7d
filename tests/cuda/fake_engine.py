"""A fake of TensorRT: engines are a bundle's ONNX graphs, run by ONNX Runtime on the fake device's memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from iic_rt.bundle.manifest import Bundle
from iic_rt.engines.cache import EngineCache
from iic_rt.engines.runtime_cache import RuntimeCacheFile, RuntimeCacheKey
from tests.cuda.fake_driver import FakeApi

SCRATCH = 1000  # bytes that an engine asks for; not a multiple of anything


class FakeContext:
    def __init__(self, api: FakeApi, session: Any, name: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._api, self._session, self._name, self._shapes = api, session, name, shapes
        self._addresses: dict[str, int] = {}
        self._outputs: dict[str, tuple[int, ...]] = {}
        self._scratch = (0, 0)

    def set_device_memory(self, memory: int, size: int) -> None:
        assert size >= SCRATCH
        self._scratch = memory, size

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return self._shapes[name] == tuple(shape)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return memory % 256 == 0

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        if not self._outputs:
            zeros = {i.name: np.zeros(self._shapes[i.name], dtype_of(i)) for i in self._session.get_inputs()}
            found = self._session.run(None, zeros)
            self._outputs = {o.name: a.shape for o, a in zip(self._session.get_outputs(), found, strict=True)}
        return self._outputs[name]

    def execute_async_v3(self, stream_handle: int) -> bool:
        tensors = {
            tensor.name: (self._addresses[tensor.name], self.get_tensor_shape(tensor.name), dtype_of(tensor))
            for tensor in (*self._session.get_inputs(), *self._session.get_outputs())
        }
        ranges = {n: (at, int(np.prod(shape)) * dtype.itemsize) for n, (at, shape, dtype) in tensors.items()}

        def run() -> None:
            def array(name: str) -> Any:
                _, shape, dtype = tensors[name]
                return self._api.view(*ranges[name]).view(dtype).reshape(shape)

            inputs = {i.name: array(i.name).copy() for i in self._session.get_inputs()}
            names = [o.name for o in self._session.get_outputs()]
            for name, value in zip(names, self._session.run(names, inputs), strict=True):
                array(name)[...] = value
            self._api.view(*self._scratch)[:] = 0xEE

        self._api.launch(stream_handle, self._name, run, self._scratch, *ranges.values())
        return True


class FakeRtxContext(FakeContext):
    """What TensorRT-RTX adds."""

    def is_stream_capturable(self, stream: int) -> bool:
        assert self._addresses
        assert self._api._capture is None
        assert stream in self._api.streams
        return True


def dtype_of(tensor: Any) -> np.dtype[Any]:
    kind = tensor.type[len("tensor(") : -1]
    return np.dtype({"float": "float32", "float16": "float16"}.get(kind, kind))


class FakeEngine:
    device_memory_size_v2 = SCRATCH
    _context: type[FakeContext] = FakeContext

    def __init__(self, api: FakeApi, described: Mapping[str, Any]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 2, 3
        options.enable_cpu_mem_arena = False
        self._api, self._name = api, described["graph"]
        self._shapes = {name: tuple(shape) for name, shape in described["shapes"].items()}
        self._session = onnxruntime.InferenceSession(described["path"], options, providers=["CPUExecutionProvider"])

    def create_execution_context(self, strategy: Any) -> FakeContext:
        assert strategy is Strategy.USER_MANAGED
        return self._context(self._api, self._session, self._name, self._shapes)


class FakeRuntimeCache:
    """The kernels that were compiled, as lines of text behind a first line that says which library made them."""

    def __init__(self) -> None:
        self._kernels: set[str] = set()

    def deserialize(self, blob: bytes) -> bool:
        first, *kernels = blob.decode().splitlines()
        if first != "kernels of the fake":
            return False
        self._kernels = set(kernels)
        return True

    def serialize(self) -> bytes:
        return "\n".join(["kernels of the fake", *sorted(self._kernels)]).encode()


class FakeRuntimeConfig:
    _strategy: Any = None
    _cache: FakeRuntimeCache | None = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        self._strategy = strategy

    def create_runtime_cache(self) -> FakeRuntimeCache:
        return FakeRuntimeCache()

    def set_runtime_cache(self, cache: FakeRuntimeCache) -> bool:
        self._cache = cache
        return True


class FakeRtxEngine(FakeEngine):
    """An engine whose kernels are compiled when a context is made, where the cache has not got them."""

    _context = FakeRtxContext
    _compiled: list[str]

    def create_runtime_config(self) -> FakeRuntimeConfig:
        return FakeRuntimeConfig()

    def create_execution_context(self, runtime_config: Any) -> FakeContext:
        kernel, cache = f"{self._name} {sorted(self._shapes.items())}", runtime_config._cache
        if cache is None or kernel not in cache._kernels:
            self._compiled.append(kernel)
        if cache is not None:
            cache._kernels.add(kernel)
        return super().create_execution_context(runtime_config._strategy)


class Strategy(Enum):
    STATIC = 0
    USER_MANAGED = 2


class FakeRuntime:
    """A ``trt.Runtime``: loads engines, and holds the context in use as long as it lives."""

    def __init__(self, library: FakeLibrary) -> None:
        self._library = library
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> FakeEngine | None:
        return self._library.deserialize_cuda_engine(serialized_engine)


class FakeLibrary:
    """An ``EngineLibrary`` and the module ``trt`` in it."""

    def __init__(self, api: FakeApi, target: str) -> None:
        self.target, self.version, self.logger = target, "11.0.0", object()
        self.problems: list[str] = []
        self.plugin_loads = 0
        self.deserialised: list[tuple[str, str]] = []
        self.compiled: list[str] = []
        self._api = api
        self.trt = SimpleNamespace(
            Runtime=lambda logger: FakeRuntime(self), ExecutionContextAllocationStrategy=Strategy
        )

    def errors(self) -> str:
        found, self.problems = "; ".join(self.problems), []
        return found or "it gave no reason"

    def load_plugin(self) -> str:
        self.plugin_loads += 1
        return "0" * 64

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> FakeEngine | None:
        if serialized_engine == b"of another device":
            self.problems.append("The engine plan file is generated on an incompatible device")
            return None
        described = json.loads(serialized_engine)
        self.deserialised.append((described["graph"], json.dumps(described["shapes"])))
        if self.target == "tensorrt":
            return FakeEngine(self._api, described)
        engine = FakeRtxEngine(self._api, described)
        engine._compiled = self.compiled
        return engine


class FakeStore:
    """An ``EngineStore`` that builds nothing."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def engine(self, graph: str, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
        path = Path(self._bundle.graphs[graph].path)
        return json.dumps({"graph": graph, "path": str(path), "shapes": dict(shapes)}).encode()

    def runtime_cache(self, *, device: str, driver_version: str) -> RuntimeCacheFile:
        facts = {"target": "tensorrt-rtx", "version": "11.0.0", "compute_capability": "8.7"}
        key = RuntimeCacheKey(device=device, driver_version=driver_version, **facts)
        return EngineCache().runtime_cache(key)
