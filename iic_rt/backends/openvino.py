"""OpenVINO on the CPU: bf16 where the CPU multiplies matrices in it, with static shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from iic_rt.backends.engine_import import import_engine
from iic_rt.backends.host import IN_NUMPY, HostBackend, HostBuffer
from iic_rt.bundle.manifest import Bundle
from iic_rt.contract import Binding
from iic_rt.errors import BackendError, one_line
from iic_rt.no_memory import engine_error

__all__ = ["OpenVinoBackend"]


def _import() -> Any:
    try:
        return import_engine("openvino")
    except ImportError as error:
        raise BackendError(f"openvino cannot be imported ({error}); run `pip install 'iic-rt[openvino]'`") from error


class OpenVinoBinding(Binding):
    """An infer request whose tensors are the host buffers themselves; keeps model and buffers alive."""

    def __init__(self, model: Any, tensors: Mapping[str, HostBuffer]) -> None:
        openvino = _import()
        self._model, self._buffers = model, tuple(tensors.values())
        self._request = model.create_infer_request()
        for name, buffer in tensors.items():
            self._request.set_tensor(name, openvino.Tensor(buffer.host, shared_memory=True))

    def enqueue(self) -> None:
        try:
            self._request.infer()
        except Exception as error:  # the engine's own errors share no base class
            raise engine_error(error, f"openvino failed while running a graph: {one_line(error)}") from error


class OpenVinoBackend(HostBackend):
    """One compiled model a graph and shape; ``threads`` is the size of the pool, None for one a physical core.

    Compiling takes about a tenth of a second a graph, and happens once: graphs whose shapes differ from region to
    region are computed in numpy. With ``upsample=False`` the loop runs at the region's own size, and is compiled for
    it; several sizes are kept. A model lives as long as a binding that uses it. Nothing is written to disk.
    """

    name: ClassVar[str] = "openvino"

    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        openvino = _import()
        self._core = openvino.Core()
        if precision is not None and precision not in self.precisions():
            has = ", ".join(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
            raise BackendError(
                f"{self.name} computes in {' or '.join(self.precisions())} on this CPU, not in {precision!r}; "
                f"it reports: {has}. Leave precision out for the best"
            )
        super().__init__(bundle, precision=precision, threads=threads, stream=stream)
        # Pinned threads of several models end up on the same core, and every model is one of six here.
        self._settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "ENABLE_CPU_PINNING": False}
        self._settings["INFERENCE_PRECISION_HINT"] = "f32" if self.precision == "fp32" else self.precision
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._compiled: WeakValueDictionary[object, Any] = WeakValueDictionary()
        self._models = {graph: self._read(graph) for graph in self.bundle.graphs if graph not in IN_NUMPY}

    def _read(self, graph: str) -> Any:
        try:
            return self._core.read_model(self.bundle.graphs[graph].path)
        except Exception as error:  # the engine's own errors share no base class
            raise self._refusal(graph, error) from error

    def _refusal(self, graph: str, error: Exception) -> Exception:
        return engine_error(
            error,
            f"openvino {self.version()} refuses {self.bundle.graphs[graph].path}: {one_line(error)}. "
            "Run `iic-rt info` for the versions, and update openvino or export the bundle again",
        )

    @staticmethod
    def version() -> str:
        return str(_import().__version__).split("-")[0]

    @staticmethod
    def precisions() -> Mapping[str, str]:
        openvino = _import()
        core = openvino.Core()
        offered = ["fp32"]
        if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            # A CPU with AVX-512 alone can emulate it; the engine's own choice tells where it is fast.
            native = core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16
            offered.insert(0 if native else 1, "bf16")
        return dict.fromkeys(offered, "fp32")

    def _bind(self, graph: str, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> Binding:
        if graph not in self._models:
            raise BackendError("the backend is closed; open a new Inpainter")
        compiled = self._compile(graph, {name: buffer.shape for name, buffer in inputs.items()})
        return OpenVinoBinding(compiled, {**inputs, **outputs})

    def _compile(self, graph: str, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """The graph for fixed shapes: OpenVINO takes up to twice as long over shapes that may vary."""
        key = graph, tuple(sorted(shapes.items()))
        compiled = self._compiled.get(key)
        if compiled is None:
            model = self._models[graph].clone()
            try:
                model.reshape({name: list(shape) for name, shape in shapes.items()})
                compiled = self._core.compile_model(model, "CPU", self._settings)
            except Exception as error:  # the engine's own errors share no base class
                raise self._refusal(graph, error) from error
            self._compiled[key] = compiled
        return compiled

    def close(self) -> None:
        self._models = {}
