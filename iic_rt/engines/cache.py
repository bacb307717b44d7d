"""Engines built on this machine, kept from one run to the next."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from iic_rt.engines.folders import cache_folder
from iic_rt.engines.runtime_cache import (
    PATTERN,
    RuntimeCacheEntry,
    RuntimeCacheFile,
    RuntimeCacheKey,
    runtime_cache_entries,
)
from iic_rt.errors import BackendError, OutputError
from iic_rt.files import make_folder, write_bytes

__all__ = ["CacheEntry", "EngineCache", "EngineKey"]

SCHEMA = 1  # of the entries; one of another schema is never read

_log = logging.getLogger("iic_rt.engines")


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on; two engines with one key are interchangeable.

    Attributes:
        graph: its name, for people.
        graph_sha256: of its file.
        precision: of the graph.
        shapes: of every input.
        target: ``"tensorrt"`` or ``"tensorrt-rtx"``.
        version: of the library, as ``fits.built_for`` gives it.
        compute_capability: of the device, as ``fits.built_for`` gives it.
        plugin_sha256: of the plugin library, None where the graph does without.
        options: of the build.
    """

    graph: str
    graph_sha256: str
    precision: str
    shapes: Mapping[str, tuple[int, ...]]
    target: str
    version: str
    compute_capability: str
    plugin_sha256: str | None
    options: Mapping[str, Any]

    def facts(self) -> dict[str, Any]:
        """The key as JSON holds it."""
        facts: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return facts

    @property
    def name(self) -> str:
        """Of the entry's files, without their endings."""
        text = json.dumps({"schema": SCHEMA, "key": self.facts()}, sort_keys=True)
        return f"{self.graph}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


@dataclass(frozen=True)
class CacheEntry:
    """An engine in the cache.

    Attributes:
        path: its file; whether its content is right is known when it is read.
        key: what it was built from and for.
        sha256: of the file.
        size: of the file in bytes.
        built: when, in seconds since the epoch.
        used: when it was last read, in the same unit.
        build_seconds: how long it took.
    """

    path: Path
    key: EngineKey
    sha256: str
    size: int
    built: float
    used: float
    build_seconds: float


class EngineCache:
    """A folder of engines: each a file and a small JSON that says what it is. Processes may share it.

    An entry counts from the moment its JSON is there, which is written last; both come by renaming, so a build that is
    killed leaves nothing that is read. One lock for the whole folder lets one process build at a time: the library
    measures while it builds, and two builds on one device would measure each other.

    Args:
        folder: None for ``engines`` in :func:`cache_folder`; it is made when the first engine is written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = cache_folder() / "engines" if folder is None else folder

    def get(self, key: EngineKey, build: Callable[[], bytes]) -> bytes:
        """The engine of ``key``: read and found intact, or else built and kept.

        Args:
            key: of the engine.
            build: builds it; called once at most, in this process alone.

        Raises:
            OutputError: the engine was built and cannot be written.
            BackendError: ``filelock`` is not installed.
            Exception: whatever ``build`` raises; nothing is kept then.
        """
        found = self._read(key)
        if found is not None:
            return found
        with self._locked():
            found = self._read(key)  # another process may have built it meanwhile
            if found is not None:
                return found
            self._remove_leftovers()
            started = time.perf_counter()
            engine = build()
            self._write(key, engine, time.perf_counter() - started)
        return engine

    def timing_cache(self, target: str, version: str, compute_capability: str) -> Path:
        """The file where builds for the same library and device keep their measurements."""
        return self.folder / f"timing-{target}-{version}-{compute_capability}.bin"

    def entries(self) -> list[CacheEntry]:
        """Every engine, the one used last first."""
        found = [entry for path in self.folder.glob("*.json") if (entry := _entry(path)) is not None]
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def runtime_cache(self, key: RuntimeCacheKey) -> RuntimeCacheFile:
        """The file where TensorRT-RTX keeps the kernels that it compiled on a device."""
        return RuntimeCacheFile(self.folder, key)

    def runtime_entries(self) -> list[RuntimeCacheEntry]:
        """Every file of compiled kernels."""
        return list(runtime_cache_entries(self.folder))

    def prune(self, keep: Callable[[CacheEntry | RuntimeCacheEntry], bool]) -> list[CacheEntry | RuntimeCacheEntry]:
        """Removes the engines and the compiled kernels that ``keep`` denies, damaged ones and what killed builds left.

        It waits for builds.

        Returns:
            What was removed. The timing caches go with the last engine.
        """
        if not self.folder.is_dir():
            return []
        with self._locked():
            entries = self.entries()
            gone = [entry for entry in entries if not keep(entry) or self._read(entry.key, use=False) is None]
            for entry in gone:
                entry.path.with_suffix(".json").unlink(missing_ok=True)  # first: without it there is no entry
                entry.path.unlink(missing_ok=True)
            kept = {entry.path.stem for entry in entries} - {entry.path.stem for entry in gone}
            self._remove_leftovers()
            for path in (*self.folder.glob("*.json"), *self.folder.glob("*.engine")):
                if path.stem not in kept:
                    path.unlink(missing_ok=True)
            if not kept:
                for path in self.folder.glob("timing-*.bin"):
                    path.unlink(missing_ok=True)
            compiled = self.runtime_entries()
            useless = [entry for entry in compiled if not keep(entry)]
            good = {entry.path for entry in compiled} - {entry.path for entry in useless}
            for path in self.folder.glob(PATTERN):
                if path not in good:
                    path.unlink(missing_ok=True)
        return [*gone, *useless]

    def _read(self, key: EngineKey, *, use: bool = True) -> bytes | None:
        """The engine of ``key``, or None where there is none or it is damaged."""
        path = self.folder / f"{key.name}.json"
        entry = _entry(path)
        if entry is None or entry.key.facts() != key.facts():
            return None
        try:
            engine = entry.path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(engine).hexdigest() != entry.sha256:
            _log.warning("%s is damaged: it has not the hash that was written down", entry.path)
            return None
        if use:
            with suppress(OSError):  # a cache that cannot be written to can still be read
                os.utime(path)
        return engine

    def _write(self, key: EngineKey, engine: bytes, build_seconds: float) -> None:
        path = self.folder / f"{key.name}.json"
        facts = {
            "schema": SCHEMA,
            "key": key.facts(),
            "sha256": hashlib.sha256(engine).hexdigest(),
            "built": time.time(),
            "build_seconds": build_seconds,
        }
        try:
            write_bytes(path.with_suffix(".engine"), engine)
            write_bytes(path, json.dumps(facts, indent=1).encode())
        except OSError as error:
            with suppress(OSError):
                path.with_suffix(".engine").unlink(missing_ok=True)
            raise OutputError(
                f"the engine of {key.graph!r} ({len(engine) / 2**20:.1f} MiB) cannot be kept: {error}. Free space with "
                "`iic-rt engines prune`, or let IIC_RT_CACHE name a folder elsewhere"
            ) from error

    def _remove_leftovers(self) -> None:
        """Removes what killed builds left half-written; nobody else writes while the lock is held."""
        for path in self.folder.glob(".*-*"):
            path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            from filelock import FileLock, Timeout
        except ImportError as error:
            raise BackendError(
                f"the engine cache needs filelock ({error}); run `pip install 'iic-rt[cuda]'` or `pip install filelock`"
            ) from error
        try:
            make_folder(self.folder)
            lock = FileLock(self.folder / "lock")  # the system gives it up for a process that dies
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _log.info("another process builds engines in %s; waiting for it", self.folder)
                lock.acquire()
        except OSError as error:
            raise OutputError(
                f"the engine cache {self.folder} cannot be written to ({error}); let IIC_RT_CACHE name another folder"
            ) from error
        try:
            yield
        finally:
            lock.release()


def _entry(path: Path) -> CacheEntry | None:
    """What a JSON of the cache says, or None where it is of another schema, damaged or gone."""
    try:
        facts = json.loads(path.read_bytes())
        if facts["schema"] != SCHEMA:
            return None
        key = EngineKey(**{field.name: facts["key"][field.name] for field in fields(EngineKey)})
        engine = path.with_suffix(".engine")
        return CacheEntry(
            path=engine,
            key=key,
            sha256=facts["sha256"],
            size=engine.stat().st_size,
            built=float(facts["built"]),
            used=path.stat().st_mtime,
            build_seconds=float(facts["build_seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
