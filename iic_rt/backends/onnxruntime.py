"""ONNX Runtime on the CPU: the embedded default."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from iic_rt.backends.engine_import import import_engine
from iic_rt.backends.host import IN_NUMPY, HostBackend, HostBuffer
from iic_rt.bundle.manifest import Bundle
from iic_rt.contract import Binding
from iic_rt.errors import BackendError, one_line
from iic_rt.no_memory import engine_error

__all__ = ["OnnxRuntimeBackend"]


def _import() -> Any:
    try:
        return import_engine("onnxruntime")
    except ImportError as error:
        raise BackendError(f"onnxruntime cannot be imported ({error}); run `pip install onnxruntime`") from error


# It sees a whole region, however large, in floats: an arena would keep all of that.
WHOLE_REGION = frozenset({"prepare"})


@functools.cache  # of the process; it can be registered once
def _share_arena(onnxruntime: Any) -> None:
    """One arena for all sessions: an arena never gives memory back, and without one every run faults its pages anew."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    same_as_requested = 1
    arena = onnxruntime.OrtArenaCfg({"arena_extend_strategy": same_as_requested})
    try:
        onnxruntime.create_and_register_allocator(memory, arena)
    except RuntimeError as error:  # the application has registered one of its own
        logging.getLogger("iic_rt").debug("onnxruntime keeps the allocator it has: %s", error)


class OnnxRuntimeBinding(Binding):
    """A session's I/O binding on host buffers; keeps the buffers alive."""

    def __init__(self, session: Any, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._session, self._buffers = session, (*inputs.values(), *outputs.values())
        self._io = session.io_binding()
        for bind, buffers in ((self._io.bind_input, inputs), (self._io.bind_output, outputs)):
            for name, buffer in buffers.items():
                bind(name, "cpu", 0, buffer.dtype, list(buffer.shape), buffer.host.ctypes.data)

    def enqueue(self) -> None:
        try:
            self._session.run_with_iobinding(self._io)
        except Exception as error:  # the engine's own errors share no base class
            raise engine_error(error, f"onnxruntime failed while running a graph: {one_line(error)}") from error


class OnnxRuntimeBackend(HostBackend):
    """Sessions on the CPU provider; ``threads`` is the size of the pool, None for one a physical core."""

    name: ClassVar[str] = "onnxruntime"
    providers: ClassVar[tuple[str, ...]] = ("CPUExecutionProvider",)

    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        onnxruntime = _import()
        super().__init__(bundle, precision=precision, threads=threads, stream=stream)
        self._sessions: dict[str, Any] = {}
        for name, graph in self.bundle.graphs.items():
            if name in IN_NUMPY:
                continue
            try:
                self._sessions[name] = onnxruntime.InferenceSession(
                    str(graph.path), self._options(name, threads), providers=list(self.providers)
                )
            except Exception as error:  # the engine's own errors share no base class
                raise engine_error(
                    error,
                    f"onnxruntime {onnxruntime.__version__} refuses {graph.path}: {one_line(error)}. "
                    "Run `iic-rt info` for the versions, and update onnxruntime or export the bundle again",
                ) from error

    def _options(self, graph: str, threads: int | None) -> Any:
        onnxruntime = _import()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 4  # fatal: an error is raised, and would be said twice
        # Every session has threads of its own. Left spinning after a graph they slow down those of the next one.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.enable_cpu_mem_arena = graph not in WHOLE_REGION
        if options.enable_cpu_mem_arena:
            options.add_session_config_entry("session.use_env_allocators", "1")
            _share_arena(onnxruntime)
        return options

    @staticmethod
    def version() -> str:
        return str(_import().__version__)

    @staticmethod
    def precisions() -> Mapping[str, str]:
        return {"fp32": "fp32", "fp16": "fp16"}

    def _bind(
        self, graph: str, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]
    ) -> OnnxRuntimeBinding:
        if graph not in self._sessions:
            raise BackendError("the backend is closed; open a new Inpainter")
        return OnnxRuntimeBinding(self._sessions[graph], inputs, outputs)

    def close(self) -> None:
        self._sessions = {}
