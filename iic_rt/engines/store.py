"""Finds the engine of a graph: in the bundle, in the cache, or by building it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

from iic_rt.bundle.manifest import OPERATORS_VERSION, Bundle, EngineFile
from iic_rt.bundle.shapes import Shapes
from iic_rt.engines.build import BuildOptions, build_engine
from iic_rt.engines.cache import EngineCache, EngineKey
from iic_rt.engines.engine_library import EngineLibrary
from iic_rt.engines.fits import built_for, fits_device, fits_version
from iic_rt.engines.onnx_file import needs_plugin
from iic_rt.engines.runtime_cache import RuntimeCacheFile, RuntimeCacheKey
from iic_rt.errors import BundleError

__all__ = ["EngineStore"]

_log = logging.getLogger("iic_rt.engines")


class EngineStore:
    """Engines for one bundle, one library and one device.

    A bundle with engines for the library's target is used as it is: where none of them fits, that is an error, for
    whoever ships engines does not want minutes of building on the device. From a bundle without, every engine is built
    on first use and kept in the cache; the logger ``iic_rt.engines`` says so at INFO.

    Args:
        bundle: at the precision wanted.
        library: that runs the engines.
        compute_capability: of the device, such as ``"8.7"``; None where there is none, to build ahead with
            TensorRT-RTX.
        cache: None for the one of this user.
        options: of engines that are built; None for all defaults.
    """

    def __init__(
        self,
        bundle: Bundle,
        library: EngineLibrary,
        *,
        compute_capability: str | None,
        cache: EngineCache | None = None,
        options: BuildOptions | None = None,
    ) -> None:
        self._bundle, self._library, self._options = bundle, library, options or BuildOptions()
        self._compute_capability = compute_capability
        self._cache = cache or EngineCache()
        self._prebuilt = [engine for engine in bundle.engines if engine.target == library.target]

    def engine(self, graph_name: str, shapes: Shapes) -> bytes:
        """The serialised engine of a graph for inputs of ``shapes``. The plugin it needs is loaded by then.

        Raises:
            BundleError: the bundle has engines for this target, and none for this graph, these shapes, this version
                of the library or this device.
            BackendError: the engine cannot be built.
            OutputError: it was built and cannot be kept.
        """
        graph = self._bundle.graphs[graph_name]
        plugin = self._library.load_plugin() if needs_plugin(graph.path.read_bytes()) else None
        if self._prebuilt:
            return self._choose(graph_name, shapes).path.read_bytes()
        version, device = built_for(self._library, self._compute_capability, self._options)
        key = EngineKey(
            graph=graph_name,
            graph_sha256=graph.sha256,
            precision=self._bundle.precision,
            shapes=dict(shapes),
            target=self._library.target,
            version=version,
            compute_capability=device,
            plugin_sha256=plugin,
            options=asdict(self._options),
        )

        def build() -> bytes:
            _log.info(
                "building the %s engine of %s (%s, %s), once: it is kept in %s",
                self._library.target,
                graph_name,
                self._bundle.precision,
                ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()),
                self._cache.folder,
            )
            timing = self._cache.timing_cache(self._library.target, version, device)
            return build_engine(self._library, graph, shapes, options=self._options, timing_cache=timing)

        return self._cache.get(key, build)

    def runtime_cache(self, *, device: str, driver_version: str) -> RuntimeCacheFile:
        """The file of the kernels that TensorRT-RTX compiles for engines on this device.

        Args:
            device: name of the product.
            driver_version: newest CUDA version the driver supports.
        """
        key = RuntimeCacheKey(
            target=self._library.target,
            version=self._library.version,
            device=device,
            compute_capability=str(self._compute_capability),
            driver_version=driver_version,
        )
        return self._cache.runtime_cache(key)

    def _choose(self, graph_name: str, shapes: Shapes) -> EngineFile:
        """The bundle's engine that fits, or an error that says which demand none of them meets."""
        library, device = self._library, self._compute_capability
        wanted = {name: tuple(shape) for name, shape in shapes.items()}
        plugin = str(OPERATORS_VERSION)
        demands: list[tuple[str, object, Callable[[EngineFile], bool]]] = [
            ("graph", graph_name, lambda engine: engine.graph == graph_name),
            ("precision", self._bundle.precision, lambda engine: engine.precision == self._bundle.precision),
            ("shapes", wanted, lambda engine: engine.shapes == wanted),
            ("version", library.version, lambda engine: fits_version(engine.version, library.version)),
            ("compute_capability", device, lambda engine: fits_device(engine.compute_capability, device)),
            ("plugin", plugin, lambda engine: engine.plugin in (None, plugin)),
        ]
        left = self._prebuilt
        for fact, value, met in demands:
            fitting = [engine for engine in left if met(engine)]
            if not fitting:
                has = "; ".join(dict.fromkeys(str(getattr(engine, fact)) for engine in left))
                raise BundleError(
                    f"the {library.target} engines in bundle {self._bundle.name!r} do not fit: {graph_name!r} is "
                    f"needed for {fact.replace('_', ' ')} {value}, and they are for {has}. Build them here with "
                    f"`python -m export engine --bundle {self._bundle.folder} --target {library.target} --out FOLDER`, "
                    "or use a bundle without engines, from which they are built on first use"
                )
            left = fitting
        return left[0]
