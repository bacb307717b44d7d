"""TensorRT, as the device has it, and TensorRT-RTX: engines on CUDA."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from iic_rt.backends.cuda import CudaBackend
from iic_rt.bundle.manifest import Bundle
from iic_rt.bundle.shapes import loop_shapes
from iic_rt.contract import Binding, Buffer, CaptureError, Event
from iic_rt.cuda.driver import load_api
from iic_rt.cuda.graph import CudaGraph
from iic_rt.cuda.memory import CudaBuffer, DeviceAllocation
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError

if TYPE_CHECKING:
    from iic_rt.engines.engine_library import EngineLibrary
    from iic_rt.engines.runtime_cache import RuntimeCacheFile
    from iic_rt.engines.store import EngineStore

__all__ = ["TensorRTBackend", "TensorRTRtxBackend"]

Shapes = Mapping[str, tuple[int, ...]]

_log = logging.getLogger("iic_rt.engines")


def _open_library(target: str) -> EngineLibrary:
    load_api()  # without a driver the library, a heavy import, is of no use
    from iic_rt.engines.engine_library import open_library

    return open_library(target)


def _open_store(bundle: Bundle, library: EngineLibrary, compute_capability: str) -> EngineStore:
    from iic_rt.engines.store import EngineStore

    return EngineStore(bundle, library, compute_capability=compute_capability)


class TensorRTBinding(Binding):
    """An execution context with its tensors' addresses fixed; keeps alive what it uses, as long as it is there.

    Whether it can be captured is asked once, behind its first run: by then the context has set itself up.
    """

    def __init__(self, stream: Stream, graph: str, library: EngineLibrary, context: Any, used: list[object]) -> None:
        self._stream, self._graph, self._library = stream, graph, library
        self._context = [context]
        self._capturable: bool | None = None  # not known yet
        stream.resources.adopt(self, "execution", partial(_drop, self._context, used))

    def enqueue(self) -> None:
        stream, library = self._stream, self._library
        handle, context = stream.begin(self), self._context[0]
        name = f"{library.target} {library.version}"
        if stream.capturing and self._capturable is False:
            raise CaptureError(f"{name} says that its engine of {self._graph!r} cannot be captured")
        if not context.execute_async_v3(handle):
            stream.driver.memory_info()  # tells whether the device has failed, which is the better reason
            if stream.capturing:
                raise CaptureError(f"{name} failed to capture {self._graph!r}: {library.errors()}")
            raise BackendError(f"{name} failed to run {self._graph!r}: {library.errors()}")
        if self._capturable is None and not stream.capturing:
            ask = getattr(context, "is_stream_capturable", None)  # TensorRT-RTX alone has it
            self._capturable = ask is None or ask(stream.capture_handle)


def _drop(context: list[Any], used: list[object]) -> None:
    context.clear()
    used.clear()


class Loaded:
    """What the library holds on the context: it must go before the context does."""

    def __init__(self) -> None:
        self.runtime: Any = None
        self.engines: dict[object, Any] = {}
        self.runtime_cache: Any = None

    def release(self) -> None:
        self.engines.clear()
        self.runtime_cache = None
        self.runtime = None


class TensorRTBackend(CudaBackend):
    """Engines of TensorRT, one a graph and shape; those that are missing are built and cached.

    Every binding has its own execution context. They run one after the other, so that they share one piece of scratch
    memory, the largest that any of them needs.
    """

    name: ClassVar[str] = "tensorrt"

    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        super().__init__(bundle, precision=precision, threads=threads, stream=stream)
        self._loaded = Loaded()
        self._scratch = DeviceAllocation(0, 0)
        self.stream.resources.adopt(self, "engine", self._loaded.release)
        try:
            with self.guard():
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        """Opens the library and loads the engine of the loop, so that what opens is known to work here."""
        device = self.stream.driver.device
        self._library = library = _open_library(self.name)
        library.load_plugin()
        try:
            self._loaded.runtime = library.trt.Runtime(library.logger)
        except Exception as error:  # the library's own errors share no base class
            raise BackendError(
                f"{self.name} {library.version} cannot be used on {device.name} with a driver for CUDA "
                f"{device.driver_version} ({error}): {library.errors()}. Update the driver, or install the "
                "version that fits it"
            ) from error
        if any(engine.target == self.name and engine.version.endswith("+") for engine in self.bundle.engines):
            # Version-compatible engines bring a runtime of their own, which the library runs only where it is allowed
            # to. The bundle's hashes were checked when it was loaded.
            self._loaded.runtime.engine_host_code_allowed = True
        self._store = _open_store(self.bundle, library, device.compute_capability)
        shapes = loop_shapes(self.bundle.working_size)
        self._engine("step", {name: shapes[name] for name in ("y", "m", "c", "first")})

    @classmethod
    def version(cls) -> str:
        return _open_library(cls.name).version

    @classmethod
    def precisions(cls) -> Mapping[str, str]:
        cls.version()
        return {"fp16": "fp16", "fp32": "fp32"}

    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> TensorRTBinding:
        self.stream.collect()
        buffers = self._buffers(graph, inputs, outputs)
        engine = self._engine(graph, {name: buffer.shape for name, buffer in inputs.items()})
        context = self._create_context(engine)
        if context is None:
            raise BackendError(f"{self.name} cannot make a context for {graph!r}: {self._library.errors()}")
        scratch = self._scratch_of(engine.device_memory_size_v2)
        context.set_device_memory(scratch.address, scratch.size)
        for name, buffer in buffers.items():
            shape_taken = name not in inputs or context.set_input_shape(name, buffer.shape)
            if not shape_taken or not context.set_tensor_address(name, buffer.address):
                what = f"{buffer.dtype}{buffer.shape} for {name!r} of {graph!r}"
                raise BackendError(f"{self.name} refuses {what}: {self._library.errors()}")
        for name, buffer in buffers.items():
            if tuple(context.get_tensor_shape(name)) != buffer.shape:
                found = tuple(context.get_tensor_shape(name))
                raise BackendError(f"{name!r} of {graph!r} has shape {found} here, and the buffer {buffer.shape}")
        return TensorRTBinding(self.stream, graph, self._library, context, [engine, scratch, *buffers.values()])

    def _create_context(self, engine: Any) -> Any:
        """A context of the engine, or None; its scratch memory is given to it."""
        return engine.create_execution_context(self._library.trt.ExecutionContextAllocationStrategy.USER_MANAGED)

    def _buffers(
        self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]
    ) -> dict[str, CudaBuffer]:
        if graph not in self.bundle.graphs:
            raise BackendError(f"the bundle has no graph {graph!r}; it has: {', '.join(self.bundle.graphs)}")
        found: dict[str, CudaBuffer] = {}
        for given, specs in ((inputs, self.bundle.graphs[graph].inputs), (outputs, self.bundle.graphs[graph].outputs)):
            if given.keys() != {spec.name for spec in specs}:
                raise BackendError(f"{graph!r} has {', '.join(s.name for s in specs)}, not {', '.join(given)}")
            for spec in specs:
                buffer = given[spec.name]
                if not isinstance(buffer, CudaBuffer) or buffer.stream is not self.stream:
                    raise BackendError(f"{self.name} computes on buffers that it allocated itself; use allocate()")
                if buffer.dtype != spec.dtype:
                    raise BackendError(f"{spec.name!r} of {graph!r} is {spec.dtype}, and the buffer {buffer.dtype}")
                found[spec.name] = buffer
        return found

    def _engine(self, graph: str, shapes: Shapes) -> Any:
        """The engine, loaded once; it stays loaded, since loading it takes longer than running it many times."""
        key = graph, tuple(sorted(shapes.items()))
        if key not in self._loaded.engines:
            serialised = self._store.engine(graph, shapes)
            self._library.errors()  # forget what did not hinder
            engine = self._loaded.runtime.deserialize_cuda_engine(serialised)
            if engine is None:
                device = self.stream.driver.device
                raise BackendError(
                    f"{self.name} {self._library.version} refuses the engine of {graph!r} on {device.name} (compute "
                    f"capability {device.compute_capability}): {self._library.errors()}. If it was built for another "
                    "device or version, run `iic-rt engines prune`, and it is built again; if memory ran out, close "
                    "other programs on the GPU"
                )
            self._loaded.engines[key] = engine
        return self._loaded.engines[key]

    def _scratch_of(self, size: int) -> DeviceAllocation:
        """Scratch memory of ``size`` bytes at least; bindings keep the smaller piece that they were made with."""
        if size > self._scratch.size or self._scratch.size == 0:
            self._scratch = self.memory.allocate(max(size, 256))
        return self._scratch


class TensorRTRtxBackend(TensorRTBackend):
    """The same with TensorRT-RTX, which needs no installation on the device.

    It compiles an engine's kernels when a context is made or first runs. They are kept in a file beside the engines,
    which the next process reads.
    """

    name: ClassVar[str] = "tensorrt-rtx"
    _runtime_cache_file: RuntimeCacheFile | None = None
    _is_compiled: bool = False  # something was, since the file was written

    def capture(self, work: Callable[[], Sequence[Event]]) -> CudaGraph:
        try:
            return super().capture(work)
        finally:
            self._keep_compiled()  # not at close alone: a service is often just killed

    def close(self) -> None:
        with self.stream.driver.guard(switch=True):
            self._keep_compiled()
        super().close()

    def _create_context(self, engine: Any) -> Any:
        trt = self._library.trt
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if self._loaded.runtime_cache is None:
            self._loaded.runtime_cache = self._load_runtime_cache(config)
        if self._loaded.runtime_cache is not None:
            config.set_runtime_cache(self._loaded.runtime_cache)
            self._is_compiled = True
        return engine.create_execution_context(config)

    def _load_runtime_cache(self, config: Any) -> Any:
        device, cache = self.stream.driver.device, config.create_runtime_cache()
        if cache is None:
            _log.warning("%s cannot keep compiled kernels: %s", self.name, self._library.errors())
            return None
        file = self._store.runtime_cache(device=device.name, driver_version=device.driver_version)
        self._runtime_cache_file, content = file, file.read()
        if content is not None and not cache.deserialize(content):
            _log.warning("%s refuses the kernels in %s; they are compiled again", self.name, file.path)
            cache = config.create_runtime_cache()
        self._library.errors()  # forget what did not hinder
        return cache

    def _keep_compiled(self) -> None:
        if not self._is_compiled or self._runtime_cache_file is None or self.stream.driver.poisoned:
            return
        self._is_compiled = False
        content = self._loaded.runtime_cache.serialize()
        if content is not None:
            self._runtime_cache_file.write(bytes(content))
