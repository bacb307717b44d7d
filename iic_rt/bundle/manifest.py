"""Bundles: a folder with the graphs and one manifest that says what they are and what their hashes must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iic_rt.bundle.shapes import WORKING_SIZES
from iic_rt.bundle.tensors import GRAPHS, TensorSpec, file_tensors, unfit
from iic_rt.errors import BundleError, printable
from iic_rt.patches import SearchOptions

__all__ = [
    "DEFAULT_BUNDLE",
    "MANIFEST",
    "OPERATORS",
    "OPERATORS_VERSION",
    "SCHEMA",
    "Bundle",
    "EngineFile",
    "Graph",
    "file_sha256",
    "load_bundle",
]

SCHEMA = 7
OPERATORS = ("PatchSearch", "PatchMatch", "PatchReplace")  # of the domain iic
OPERATORS_VERSION = 5  # of them in the graphs, in engines and in the plugin
MANIFEST = "manifest.json"
DEFAULT_BUNDLE = "edge"
SHIPPED = Path(__file__).parents[1] / "bundles"
LARGEST_SCALE = 1_000_000  # of the cosine in search; shipped bundles have 180
ENGINE_FACTS = ("sha256", "graph", "precision", "target", "version", "compute_capability")
# The key under which an ONNX file names another file for a tensor's values, which no hash would cover.
EXTERNAL = b"location"


@dataclass(frozen=True)
class Graph:
    """One graph of a bundle: its checked file and its tensors."""

    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def tensor(self, name: str) -> TensorSpec:
        """The input or output of that name."""
        return next(t for t in (*self.inputs, *self.outputs) if t.name == name)


@dataclass(frozen=True)
class EngineFile:
    """An engine in a bundle, built from one of its graphs for fixed input shapes.

    Attributes:
        path: its checked file.
        sha256: of the file.
        graph: name of the graph.
        precision: of the graph.
        shapes: of every input.
        target: backend it was built for, ``"tensorrt"`` or ``"tensorrt-rtx"``.
        version: of the engine library that built it.
        compute_capability: of the device it was built on, such as ``"8.7"``; ``"any"`` where the library builds for
            all it supports.
        plugin: version of the project's operators in it, or None.
    """

    path: Path
    sha256: str
    graph: str
    precision: str
    shapes: Mapping[str, tuple[int, ...]]
    target: str
    version: str
    compute_capability: str
    plugin: str | None


@dataclass(frozen=True)
class Bundle:
    """A loaded manifest.

    Attributes:
        folder: where it was loaded from.
        name: its name, for reports.
        preset: generator preset, ``"edge"`` or ``"base"``.
        precision: ``"fp32"`` or ``"fp16"``, the precision that ``graphs`` compute in.
        precisions: the graphs in every precision they were exported in: ``prepare``, ``step``, ``seam`` and
            ``composite`` of the loop; ``similarity``, ``search``, ``refine``, ``detail``, ``replace`` and
            ``add_detail`` of guided upsampling.
        engines: built from the graphs, for the backends and devices they name; may be empty.
        working_size: side in pixels the loop runs at.
        search: how ``search`` chooses patches, for backends that do not run the graph itself.
        card: text of the model card, without characters that a terminal would obey.
        weights_sha256: hashes of the weights files the graphs were made from, ``generator`` and ``upsampler``.
        sha256: hash of the manifest, and through it of every file.
    """

    folder: Path
    name: str
    preset: str
    precision: str
    precisions: Mapping[str, Mapping[str, Graph]]
    engines: tuple[EngineFile, ...]
    working_size: int
    search: SearchOptions
    card: str
    weights_sha256: Mapping[str, str]
    sha256: str

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graphs at ``precision`` by name."""
        return self.precisions[self.precision]

    def at(self, precision: str) -> Bundle:
        """The same bundle at another precision.

        Raises:
            BundleError: it was not exported in it.
        """
        if precision not in self.precisions:
            has = ", ".join(self.precisions)
            raise BundleError(f"bundle {self.name!r} has no graphs in {precision!r}; it has: {has}. {_REBUILD}")
        return replace(self, precision=precision)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_bundle(source: str | Path) -> Bundle:
    """Loads a bundle and checks its schema, its files and their hashes.

    Args:
        source: a folder, or the name of a bundle that ships with the package (``"edge"``).

    Raises:
        BundleError: the bundle is missing, incomplete, changed, or of another schema version.
    """
    try:
        folder = _find(source)
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(f"the bundle at {str(source)!r} cannot be read: {error.strerror}; {_REBUILD}") from error
    try:
        return _parse(folder, _read_json(content), hashlib.sha256(content).hexdigest())
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(
            f"{folder / MANIFEST} is not a manifest ({type(error).__name__}: {error}); {_REBUILD}"
        ) from error


def _find(source: str | Path) -> Path:
    folder = Path(source)
    if not folder.is_dir() and isinstance(source, str) and (SHIPPED / source).is_dir():
        folder = SHIPPED / source
    path = folder / MANIFEST
    if not path.is_file():
        shipped = ", ".join(sorted(p.name for p in SHIPPED.glob("*") if p.is_dir())) or "none"
        raise BundleError(
            f"no bundle at {str(source)!r}: {path} does not exist. Give a folder that `python -m export` wrote, "
            f"or the name of a shipped bundle ({shipped})"
        )
    return folder


def _read_json(content: bytes) -> Any:
    """The manifest, of whose texts none can say anything to a terminal."""

    def refuse(number: str) -> None:
        raise ValueError(f"{number} is not JSON")

    def check(value: object) -> None:
        if isinstance(value, str) and not value.isprintable():
            raise ValueError(f"{value[:40]!r} has characters that cannot be printed")
        for part in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(part)

    found = json.loads(content, parse_constant=refuse)
    check(found)
    return found


_REBUILD = "write the bundle again with `python -m export`, or reinstall iic-rt if it is the shipped one"


def _parse(folder: Path, manifest: dict[str, Any], sha256: str) -> Bundle:
    if manifest["schema"] != SCHEMA:
        raise BundleError(
            f"{folder / MANIFEST} has schema {manifest['schema']!r}, this version reads {SCHEMA}; {_REBUILD}"
        )
    if "fp32" not in manifest["precisions"]:
        raise BundleError(f"{folder / MANIFEST} has no graphs in fp32; {_REBUILD}")
    precisions = {
        precision: _graphs(folder, precision, entries) for precision, entries in manifest["precisions"].items()
    }
    search = SearchOptions(**manifest["search"])
    if not isinstance(search.scale, (int, float)) or not 0 < search.scale <= LARGEST_SCALE:
        raise BundleError(
            f"{folder / MANIFEST} has the scale {search.scale!r} in search, no number above 0 and up to "
            f"{LARGEST_SCALE}; {_REBUILD}"
        )
    if search.best != 1:
        raise BundleError(f"{folder / MANIFEST} keeps {search.best} patches in search, refine takes 1; {_REBUILD}")
    size = manifest["working_size"]
    if not isinstance(size, int) or size not in WORKING_SIZES:
        raise BundleError(
            f"{folder / MANIFEST} has working_size {size!r}, not a multiple of {WORKING_SIZES.step} from "
            f"{WORKING_SIZES[0]} to {WORKING_SIZES[-1]}; {_REBUILD}"
        )
    return Bundle(
        folder=folder,
        name=_text(manifest, "name"),
        preset=_text(manifest, "preset"),
        precision="fp32",
        precisions=precisions,
        engines=tuple(_engine(folder, entry) for entry in manifest.get("engines", [])),
        working_size=size,
        search=search,
        card=printable(_checked(folder, manifest["card"])[1].decode()),
        weights_sha256={name: _text(manifest["weights_sha256"], name) for name in ("generator", "upsampler")},
        sha256=sha256,
    )


def _graphs(folder: Path, precision: str, entries: dict[str, Any]) -> dict[str, Graph]:
    missing = [name for name in GRAPHS if name not in entries]
    if missing:
        raise BundleError(f"{folder / MANIFEST} names no {precision} graph {' and '.join(missing)}; {_REBUILD}")
    return {name: _graph(folder, name, entries[name]) for name in GRAPHS}


def _graph(folder: Path, name: str, entry: dict[str, Any]) -> Graph:
    path, content = _checked(folder, entry)
    inputs, outputs = _specs(entry["inputs"]), _specs(entry["outputs"])
    if why := unfit(name, inputs, outputs):
        raise BundleError(f"{path} {why}; the files may be mixed up. {_REBUILD}")
    try:
        found = file_tensors(content)
    except ValueError as error:
        raise BundleError(f"{path} is not an ONNX graph ({error}); {_REBUILD}") from error
    if found != (inputs, outputs):
        has, says = (", ".join(map(str, (*pair[0], *pair[1]))) for pair in (found, (inputs, outputs)))
        raise BundleError(f"{path} is another graph than the manifest says: {has} instead of {says}; {_REBUILD}")
    if EXTERNAL in content:
        raise BundleError(f"{path} takes tensors from other files, which are not checked; {_REBUILD}")
    return Graph(path, entry["sha256"], inputs, outputs)


def _engine(folder: Path, entry: dict[str, Any]) -> EngineFile:
    facts = {name: _text(entry, name) for name in ENGINE_FACTS}
    shapes = {name: tuple(int(n) for n in shape) for name, shape in entry["shapes"].items()}
    plugin = entry["plugin"] if entry["plugin"] is None else _text(entry, "plugin")
    return EngineFile(path=_checked(folder, entry)[0], shapes=shapes, plugin=plugin, **facts)


def _specs(entries: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(_text(entry, "name"), _text(entry, "dtype"), tuple(entry["shape"])) for entry in entries)


def _text(entry: Mapping[str, Any], name: str) -> str:
    if not isinstance(entry[name], str):
        raise TypeError(f"{name} is {repr(entry[name])[:40]}, no text")
    return str(entry[name])


def _checked(folder: Path, entry: dict[str, Any]) -> tuple[Path, bytes]:
    """The file an entry names and its content, after its hash was found right."""
    path = folder / _text(entry, "file")
    if path.parent != folder:
        raise BundleError(f"the manifest names {entry['file']!r}, a file outside its folder {folder}; {_REBUILD}")
    try:
        if not path.is_file():
            raise BundleError(f"{path} is missing; {_REBUILD}")
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; {_REBUILD}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != _text(entry, "sha256"):
        raise BundleError(
            f"{path} is not the file the manifest describes: sha256 is {found[:16]}…, "
            f"expected {entry['sha256'][:16]}…; {_REBUILD}"
        )
    return path, content
