"""``iic-rt engines``: what is in the engine cache, filling it ahead, emptying it."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict
from typing import Any

from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, file_sha256, load_bundle
from iic_rt.cli.arguments import number, whole
from iic_rt.cli.json_text import json_text
from iic_rt.engines.cache import CacheEntry, EngineCache
from iic_rt.engines.engine_library import TARGETS, open_library
from iic_rt.engines.fits import fits_version
from iic_rt.engines.folders import plugin_path
from iic_rt.engines.runtime_cache import RuntimeCacheEntry
from iic_rt.engines.shapes import CHANNELS, graph_shapes
from iic_rt.engines.store import EngineStore
from iic_rt.errors import BackendError, InputError
from iic_rt.geometry import ladder_side

__all__ = ["add_engines"]

DAY = 86400.0  # seconds
COLUMNS = ("graph", "largest input", "precision", "target", "version", "device", "size", "age")


def add_engines(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its three actions."""
    engines = commands.add_parser("engines", help="the cache of TensorRT engines")
    actions = engines.add_subparsers(dest="action", required=True, metavar="ACTION")

    listing = actions.add_parser("list", help="what is in the cache")
    listing.add_argument("--json", action="store_true", help="print it as one JSON object, with every input's shape")
    listing.set_defaults(run=run_list)

    build = actions.add_parser(
        "build",
        help="build engines ahead of their first use",
        description="Builds what the cache lacks. Engines of tensorrt need the device they are for; those of "
        "tensorrt-rtx are built without one and run on every GPU from Ampere on.",
    )
    build.add_argument("--target", choices=TARGETS, required=True, help="the library the engines are for")
    build.add_argument("--sides", type=sides, default=(256, 512), metavar="N,N", help="of regions, default 256,512")
    build.add_argument(
        "--channels", type=int, nargs="+", choices=CHANNELS, default=[3], help="of the images, default 3; 4 with alpha"
    )
    build.add_argument("--bundle", default=DEFAULT_BUNDLE, help="shipped name or folder (default %(default)s)")
    build.add_argument("--precision", default="fp16", choices=("fp16", "fp32"), help="default %(default)s")
    build.set_defaults(run=run_build)

    prune = actions.add_parser(
        "prune",
        help="remove engines",
        description="Removes damaged engines, and by default those that the installed library or plugin can no "
        "longer use.",
    )
    which = prune.add_mutually_exclusive_group()
    which.add_argument("--older-than", type=number(), metavar="DAYS", help="instead those not used for so many days")
    which.add_argument("--all", action="store_true", help="instead every one")
    prune.set_defaults(run=run_prune)


def sides(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(whole(1)(part) for part in text.split(",")))


def run_list(arguments: argparse.Namespace) -> int:
    cache, now = EngineCache(), time.time()
    entries = cache.entries()
    if arguments.json:
        print(json_text({"folder": str(cache.folder), "engines": [_facts(entry, now) for entry in entries]}))
        return 0
    rows = [_row(entry, now) for entry in entries]
    widths = [max(len(row[i]) for row in (COLUMNS, *rows)) for i in range(len(COLUMNS))]
    for row in (COLUMNS, *rows) if rows else ():
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    compiled = cache.runtime_entries()
    size = sum(entry.size for entry in entries) + sum(entry.size for entry in compiled)
    print(f"{len(rows)} engines{_and_compiled(len(compiled))}, {_mib(size)} in {cache.folder}")
    return 0


def _facts(entry: CacheEntry, now: float) -> dict[str, Any]:
    return {
        **asdict(entry.key),
        "file": entry.path.name,
        "size_bytes": entry.size,
        "age_days": (now - entry.built) / DAY,
        "unused_days": (now - entry.used) / DAY,
        "build_seconds": entry.build_seconds,
    }


def _row(entry: CacheEntry, now: float) -> tuple[str, ...]:
    key, days = entry.key, (now - entry.built) / DAY
    name, shape = max(key.shapes.items(), key=lambda item: math.prod(item[1]))
    return (
        key.graph,
        f"{name} {'x'.join(map(str, shape))}",
        key.precision,
        key.target,
        key.version,
        key.compute_capability,
        _mib(entry.size),
        f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} h",
    )


def _and_compiled(files: int) -> str:
    return f" and {files} file{'s' if files > 1 else ''} of compiled kernels" if files else ""


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def run_build(arguments: argparse.Namespace) -> int:
    bundle = load_bundle(arguments.bundle).at(arguments.precision)
    working = bundle.working_size
    for side in arguments.sides:
        allowed = ladder_side(side, working)
        if side != allowed:
            raise InputError(f"no region has {side} pixels; the next larger one has {allowed}")
    library = open_library(arguments.target)
    limits = BACKENDS[arguments.target].limits
    wanted = [
        pair
        for side in arguments.sides
        for pair in graph_shapes(bundle, side, working, limits, tuple(arguments.channels))
    ]
    cache = EngineCache()
    before = {entry.path for entry in cache.entries()}
    store = EngineStore(bundle, library, compute_capability=_compute_capability(arguments.target), cache=cache)
    for graph, shapes in wanted:
        store.engine(graph, shapes)
    new = {entry.path for entry in cache.entries()} - before
    pixels = " and ".join(map(str, arguments.sides))
    print(f"every engine for regions of {pixels} pixels is there, {len(new)} of them new in {cache.folder}")
    return 0


def _compute_capability(target: str) -> str | None:
    if target == "tensorrt-rtx":
        return None  # its engines are for every device
    from iic_rt.cuda.driver import Driver, load_api

    driver = Driver(load_api())
    try:
        return driver.device.compute_capability
    finally:
        driver.close()


def run_prune(arguments: argparse.Namespace) -> int:
    cache = EngineCache()
    if arguments.all:
        gone = cache.prune(lambda entry: False)
    elif arguments.older_than is not None:
        oldest = time.time() - arguments.older_than * DAY
        gone = cache.prune(lambda entry: entry.used >= oldest)
    else:
        versions = _installed_versions()
        plugin = file_sha256(plugin_path()) if plugin_path().is_file() else None
        gone = cache.prune(lambda entry: _is_usable(entry, versions, plugin))
    engines = sum(isinstance(entry, CacheEntry) for entry in gone)
    what = f"{engines} engines" + _and_compiled(len(gone) - engines)
    print(f"removed {what}, {_mib(sum(entry.size for entry in gone))}, from {cache.folder}")
    return 0


def _installed_versions() -> dict[str, str]:
    versions = {}
    for target in TARGETS:
        try:
            versions[target] = open_library(target).version
        except BackendError:
            continue  # engines of a library that is away for now are kept
    return versions


def _is_usable(entry: CacheEntry | RuntimeCacheEntry, versions: dict[str, str], plugin: str | None) -> bool:
    if entry.key.target in versions and not fits_version(entry.key.version, versions[entry.key.target]):
        return False
    if isinstance(entry, RuntimeCacheEntry):
        return True
    key = entry.key
    return key.plugin_sha256 is None or plugin is None or key.plugin_sha256 == plugin
