"""Writes a bundle with engines: all of an ONNX bundle, and an engine for every graph at every size."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from export.accuracy import Picture, check_accuracy
from export.bundle import ParityError, file_entry, write_manifest
from export.folders import replacing_folder
from export.recipes import Recipe
from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.manifest import MANIFEST, OPERATORS_VERSION, Bundle, load_bundle
from iic_rt.bundle.shapes import Shapes
from iic_rt.engines.build import Progress, build_engine, describe_network
from iic_rt.engines.cache import EngineCache
from iic_rt.engines.engine_library import EngineLibrary
from iic_rt.engines.fits import built_for
from iic_rt.engines.onnx_file import needs_plugin
from iic_rt.engines.shapes import graph_shapes

__all__ = ["LAYERS", "wanted_engines", "write_engine_bundle"]

LAYERS = "layers.json"
Say = Callable[[str], None]


def write_engine_bundle(
    source: Path,
    out: Path,
    recipe: Recipe,
    library: EngineLibrary,
    *,
    compute_capability: str | None,
    pictures: Sequence[Picture],
    say: Say = print,
    progress: Progress | None = None,
) -> Bundle:
    """Builds what a recipe asks for and writes it with the bundle it is from; ``out`` appears whole or not at all.

    Beside the engines stands ``layers.json``: for every engine the layers of the network that the parser made, with
    their types, and, where there is a device, those of the engine as its inspector tells them.

    Args:
        source: folder of the ONNX bundle.
        out: folder to write; replaced as a whole.
        recipe: what to build.
        library: that builds, of the recipe's target.
        compute_capability: of the device, such as ``"8.7"``; None where there is none, for TensorRT-RTX.
        pictures: of ``export.accuracy.load_pictures``; the gate in front of engines in FP16.
        say: takes a line for every engine.
        progress: told how far each build is.

    Raises:
        ParityError: FP16 does not fill the pictures as FP32 does.
        BundleError: the bundle cannot be used, or has no graphs in the recipe's precision.
        RecipeError: the recipe asks for a side that is not on the ladder.
        BackendError: an engine cannot be built.
    """
    bundle = load_bundle(source).at(recipe.precision)
    recipe = recipe.at(bundle.working_size)
    version, device = built_for(library, compute_capability, recipe.options)
    if recipe.precision == "fp16":
        say("filling pictures in FP16 and in FP32 ...")
        report = check_accuracy(bundle.folder, pictures)
        if not report["passed"]:
            raise ParityError(report)
    wanted = wanted_engines(bundle, recipe)
    timing = EngineCache().timing_cache(library.target, version, device)
    timing.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(out) as folder:
        manifest = json.loads((bundle.folder / MANIFEST).read_text())
        manifest |= {"name": out.name, "working_size": recipe.working_size}  # what the engines are for
        _copy_files(bundle.folder, manifest, folder)
        engines, layers = [], {}
        for i, (name, (graph_name, shapes)) in enumerate(wanted.items()):
            graph, path = bundle.graphs[graph_name], folder / f"{name}.engine"
            started = time.perf_counter()
            options = recipe.options
            engine = build_engine(library, graph, shapes, options=options, timing_cache=timing, progress=progress)
            path.write_bytes(engine)
            plugin = str(OPERATORS_VERSION) if needs_plugin(graph.path.read_bytes()) else None
            engines.append(
                file_entry(path)
                | {"graph": graph_name, "precision": recipe.precision, "shapes": dict(shapes), "plugin": plugin}
                | {"target": library.target, "version": version, "compute_capability": device}
            )
            layers[path.name] = {
                "graph": graph_name,
                "shapes": dict(shapes),
                "network": describe_network(library, graph, shapes),
                "engine": None if compute_capability is None else _inspect(library, engine),
            }
            took = time.perf_counter() - started
            say(f"[{i + 1}/{len(wanted)}] {path.name}: {len(engine) / 2**20:.1f} MiB, {took:.1f} s")
        (folder / LAYERS).write_text(json.dumps({"engines": layers}, indent=1) + "\n")
        write_manifest(folder, manifest | {"engines": engines})
        load_bundle(folder)
    if compute_capability is None:
        say(f"no device here: {LAYERS} has the layers of the networks, not those of the engines")
    return load_bundle(out)


def wanted_engines(bundle: Bundle, recipe: Recipe) -> dict[str, tuple[str, Shapes]]:
    """Graph and shapes of every engine of a recipe, by a name of graph and side; each pair once.

    The name has the first side that needs the engine, and a number where a side needs a graph in several shapes.
    """
    assert recipe.working_size is not None
    limits = BACKENDS[recipe.target].limits
    wanted: dict[str, tuple[str, Shapes]] = {}
    for side in sorted(recipe.sides):
        for graph, shapes in graph_shapes(bundle, side, recipe.working_size, limits, recipe.channels):
            if (graph, shapes) in wanted.values():
                continue
            name, count = f"{graph}-{recipe.precision}-{side}", 1
            while name in wanted:
                count += 1
                name = f"{graph}-{recipe.precision}-{side}-{count}"
            wanted[name] = graph, shapes
    return wanted


def _copy_files(source: Path, manifest: dict[str, Any], folder: Path) -> None:
    """The files that the manifest names, engines apart."""
    entries = [manifest["card"], manifest["parity"]]
    for graphs in manifest["precisions"].values():
        entries.extend(graphs.values())
    for name in {entry["file"] for entry in entries}:
        shutil.copyfile(source / name, folder / name)


def _inspect(library: EngineLibrary, engine: bytes) -> Any:
    """What the inspector tells of an engine's layers, as JSON; needs the device."""
    runtime = library.trt.Runtime(library.logger)
    loaded = runtime.deserialize_cuda_engine(engine)
    if loaded is None:
        return {"error": library.errors()}
    inspector = loaded.create_engine_inspector()
    return json.loads(inspector.get_engine_information(library.trt.LayerInformationFormat.JSON))
