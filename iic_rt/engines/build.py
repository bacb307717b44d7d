"""One engine from one graph, for fixed shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iic_rt.bundle.manifest import Graph
from iic_rt.bundle.shapes import Shapes
from iic_rt.engines.engine_library import EngineLibrary
from iic_rt.engines.onnx_file import needs_plugin, without_functions
from iic_rt.errors import BackendError
from iic_rt.files import write_bytes

__all__ = ["BuildOptions", "Progress", "build_engine", "describe_network"]

Progress = Callable[[str, int, int], None]
"""Called with a phase, how many of its steps are done and how many there are; from any thread."""


@dataclass(frozen=True)
class BuildOptions:
    """What may be chosen about an engine; each choice gives another engine.

    Attributes:
        workspace_mib: most device memory in MiB that a layer may use for intermediate results; None for all there is.
        optimization_level: 0 (builds fast) to 5 (looks longest for a fast engine); None for the library's default.
        hardware_compatible: the engine runs on every device from Ampere on, and slower. TensorRT on desktops only.
        version_compatible: the engine runs in later versions of the same major version. TensorRT only.
    """

    workspace_mib: int | None = None
    optimization_level: int | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False


def build_engine(
    library: EngineLibrary,
    graph: Graph,
    shapes: Shapes,
    *,
    options: BuildOptions | None = None,
    timing_cache: Path | None = None,
    progress: Progress | None = None,
) -> bytes:
    """Builds an engine that takes inputs of ``shapes`` and no others, in the precisions that the graph names.

    Args:
        library: that builds and that the engine will run in. TensorRT-RTX needs no device.
        graph: of a bundle.
        shapes: of every input.
        options: of the engine; None for all defaults.
        timing_cache: file with measurements of earlier builds, read and written; it need not exist. TensorRT-RTX
            measures nothing and ignores it.
        progress: told how far the build is.

    Returns:
        The serialised engine.

    Raises:
        BackendError: the plugin is missing, or the library refuses the graph, the shapes or an option.
    """
    builder, network, _parser = _parse(library, graph, shapes)
    config = builder.create_builder_config()
    _configure(library, config, options or BuildOptions())
    if progress is not None:
        config.progress_monitor = _make_monitor(library.trt, progress)
    cache = None
    if timing_cache is not None and library.target == "tensorrt":
        cache = config.create_timing_cache(timing_cache.read_bytes() if timing_cache.is_file() else b"")
        # A file of another version or device is passed over and written anew.
        if not config.set_timing_cache(cache, False):
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, False)
    library.errors()  # forget what did not hinder
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise BackendError(
            f"{library.target} {library.version} cannot build an engine of {graph.path.name} for "
            f"{_text(shapes)}: {library.errors()}. If memory ran out, close other programs, lower the size or raise "
            "workspace_mib; otherwise export the bundle again with this version's `python -m export`"
        )
    if cache is not None and timing_cache is not None:
        write_bytes(timing_cache, bytes(config.get_timing_cache().serialize()))
    return bytes(engine)


def describe_network(library: EngineLibrary, graph: Graph, shapes: Shapes) -> list[dict[str, str]]:
    """The layers that the parser makes of a graph, before the builder fuses them.

    Returns:
        For every layer its ``name``, its ``type`` (``"CONVOLUTION"``, ``"PLUGIN_V3"``) and its ``precision``, the type
        of its first output (``"HALF"``, ``"FLOAT"``).

    Raises:
        BackendError: as :func:`build_engine`.
    """
    _builder, network, _parser = _parse(library, graph, shapes)
    layers = (network.get_layer(i) for i in range(network.num_layers))
    return [
        {"name": layer.name, "type": layer.type.name, "precision": layer.get_output(0).dtype.name} for layer in layers
    ]


def _parse(library: EngineLibrary, graph: Graph, shapes: Shapes) -> tuple[Any, Any, Any]:
    """Builder, network with static inputs, and parser; the network needs the other two for as long as it is used."""
    trt, model = library.trt, graph.path.read_bytes()
    if needs_plugin(model):
        library.load_plugin()
    library.errors()
    try:
        builder = trt.Builder(library.logger)
    except Exception as error:  # the bindings raise what they like where there is no device or driver
        raise BackendError(
            f"{library.target} {library.version} cannot build engines here: {library.errors()} ({error}). Check the "
            "driver with nvidia-smi (on a Jetson: tegrastats)"
        ) from error
    # Types are the graph's own. Later versions know no other networks and may drop the flag.
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, library.logger)
    if not parser.parse(without_functions(model)):
        reasons = "; ".join(" ".join(parser.get_error(i).desc().split()) for i in range(parser.num_errors))
        raise BackendError(
            f"{library.target} {library.version} cannot read {graph.path}: {reasons or library.errors()}. Update "
            f"{library.target}, or export the bundle again with this version's `python -m export`"
        )
    inputs = {tensor.name: tensor for tensor in (network.get_input(i) for i in range(network.num_inputs))}
    wrong = {name for name, tensor in inputs.items() if not _accepts(tuple(tensor.shape), shapes.get(name))}
    if wrong or inputs.keys() != shapes.keys():
        has = {name: tuple(tensor.shape) for name, tensor in inputs.items()}
        raise BackendError(f"{graph.path} takes {_text(has)} (-1 is any size), not {_text(shapes)}")
    for name, tensor in inputs.items():
        tensor.shape = shapes[name]
    return builder, network, parser


def _accepts(declared: tuple[int, ...], given: tuple[int, ...] | None) -> bool:
    return (
        given is not None
        and len(declared) == len(given)
        and all(d in (-1, g) for d, g in zip(declared, given, strict=True))
    )


def _configure(library: EngineLibrary, config: Any, options: BuildOptions) -> None:
    trt = library.trt
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the layer report; costs nothing while it runs
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 stands where the parity needs float32
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if library.target == "tensorrt-rtx" and (options.hardware_compatible or options.version_compatible):
        raise BackendError(
            "engines of tensorrt-rtx run on every device from Ampere on, and in the version that built them alone; "
            "leave out hardware and version compatibility, or use the target tensorrt"
        )
    if library.target == "tensorrt-rtx":
        # An engine that allocates while it runs cannot be captured in a CUDA graph.
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)


def _make_monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the module is known at run time only
        def __init__(self) -> None:
            super().__init__()
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name, step + 1, self._steps[phase_name])
            return True

        def phase_finish(self, phase_name: str) -> None:
            progress(phase_name, self._steps[phase_name], self._steps[phase_name])

    return Monitor()


def _text(shapes: Shapes) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
