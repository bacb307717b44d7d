"""Bundles: a folder with the graphs and one manifest that says what they are and what their hashes must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iic_rt.errors import BundleError
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
    "TensorSpec",
    "file_sha256",
    "load_bundle",
]

SCHEMA = 7
OPERATORS = ("PatchSearch", "PatchMatch", "PatchReplace")  # of the domain iic
OPERATORS_VERSION = 4  # of them in the graphs, in engines and in the plugin
MANIFEST = "manifest.json"
DEFAULT_BUNDLE = "edge"
SHIPPED = Path(__file__).parents[1] / "bundles"
GRAPHS = ("prepare", "step", "seam", "composite", "similarity", "search", "refine", "detail", "replace", "add_detail")


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy dtype name and shape of one input or output; a string in the shape is a dimension that may vary."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


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
        card: text of the model card.
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
    content = path.read_bytes()
    try:
        return _parse(folder, json.loads(content), hashlib.sha256(content).hexdigest())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path} is not a manifest ({type(error).__name__}: {error}); {_REBUILD}") from error


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
    if search.best != 1:
        raise BundleError(f"{folder / MANIFEST} keeps {search.best} patches in search, refine takes 1; {_REBUILD}")
    return Bundle(
        folder=folder,
        name=manifest["name"],
        preset=manifest["preset"],
        precision="fp32",
        precisions=precisions,
        engines=tuple(_engine(folder, entry) for entry in manifest.get("engines", [])),
        working_size=int(manifest["working_size"]),
        search=search,
        card=_checked(folder, manifest["card"]).read_text(encoding="utf-8"),
        weights_sha256=manifest["weights_sha256"],
        sha256=sha256,
    )


def _graphs(folder: Path, precision: str, entries: dict[str, Any]) -> dict[str, Graph]:
    missing = [name for name in GRAPHS if name not in entries]
    if missing:
        raise BundleError(f"{folder / MANIFEST} names no {precision} graph {' and '.join(missing)}; {_REBUILD}")
    return {
        name: Graph(_checked(folder, entry), entry["sha256"], _specs(entry["inputs"]), _specs(entry["outputs"]))
        for name, entry in entries.items()
    }


def _engine(folder: Path, entry: dict[str, Any]) -> EngineFile:
    facts = ("sha256", "graph", "precision", "target", "version", "compute_capability", "plugin")
    shapes = {name: tuple(int(n) for n in shape) for name, shape in entry["shapes"].items()}
    return EngineFile(path=_checked(folder, entry), shapes=shapes, **{fact: entry[fact] for fact in facts})


def _specs(entries: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(entry["name"], entry["dtype"], tuple(entry["shape"])) for entry in entries)


def _checked(folder: Path, entry: dict[str, Any]) -> Path:
    """The file an entry names, after its hash was found right."""
    path = folder / str(entry["file"])
    if path.parent != folder:
        raise BundleError(f"the manifest names {entry['file']!r}, a file outside its folder {folder}; {_REBUILD}")
    if not path.is_file():
        raise BundleError(f"{path} is missing; {_REBUILD}")
    found = file_sha256(path)
    if found != entry["sha256"]:
        raise BundleError(
            f"{path} is not the file the manifest describes: sha256 is {found[:16]}…, "
            f"expected {entry['sha256'][:16]}…; {_REBUILD}"
        )
    return path
