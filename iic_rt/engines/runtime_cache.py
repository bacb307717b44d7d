"""Kernels that TensorRT-RTX compiled for this device, kept from one run to the next."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from iic_rt.files import make_folder, write_bytes

__all__ = ["PATTERN", "RuntimeCacheEntry", "RuntimeCacheFile", "RuntimeCacheKey", "runtime_cache_entries"]

SCHEMA = 1  # of the files; one of another schema is never read
PATTERN = "runtime-*.bin"

_log = logging.getLogger("iic_rt.engines")


@dataclass(frozen=True)
class RuntimeCacheKey:
    """Everything that compiled kernels depend on.

    Attributes:
        target: ``"tensorrt-rtx"``.
        version: of the library.
        device: name of the product.
        compute_capability: of the device.
        driver_version: newest CUDA version the driver supports.
    """

    target: str
    version: str
    device: str
    compute_capability: str
    driver_version: str

    @property
    def name(self) -> str:
        """Of the file."""
        text = json.dumps({"schema": SCHEMA, "key": asdict(self)}, sort_keys=True)
        return f"runtime-{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.bin"


@dataclass(frozen=True)
class RuntimeCacheEntry:
    """A file of compiled kernels in the cache.

    Attributes:
        path: of the file.
        key: of the kernels.
        size: of the file in bytes.
        used: when it was last read or written, in seconds since the epoch.
    """

    path: Path
    key: RuntimeCacheKey
    size: int
    used: float


class RuntimeCacheFile:
    """The compiled kernels of one key: a line of JSON with the key and their hash, then the library's bytes.

    It makes opening faster and nothing else. So a file that is missing, damaged or another device's is passed over, and
    one that cannot be written is only logged. Processes may share it; the last one to write wins.

    Args:
        folder: that the file lies in; it is made when the file is written.
        key: of the kernels.
    """

    def __init__(self, folder: Path, key: RuntimeCacheKey) -> None:
        self.path, self._key = folder / key.name, key
        self._sha256 = ""  # of the bytes that the file is known to hold

    def read(self) -> bytes | None:
        """The library's bytes, or None where there are none that can be used."""
        found = _read(self.path)
        if found is None or found[0] != self._key:
            return None
        with suppress(OSError):  # a cache that cannot be written to can still be read
            os.utime(self.path)
        self._sha256 = hashlib.sha256(found[1]).hexdigest()
        return found[1]

    def write(self, content: bytes) -> None:
        """Keeps the library's bytes, unless they are what the file holds."""
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 == self._sha256:
            return
        facts = {"schema": SCHEMA, "key": asdict(self._key), "sha256": sha256}
        try:
            make_folder(self.path.parent)
            write_bytes(self.path, json.dumps(facts).encode() + b"\n" + content)
        except OSError as error:
            _log.warning("compiled kernels are not kept, the next start compiles them again: %s", error)
        self._sha256 = sha256  # also where it failed: it would fail again


def runtime_cache_entries(folder: Path) -> Iterator[RuntimeCacheEntry]:
    """Every file of compiled kernels that is whole."""
    for path in folder.glob(PATTERN):
        found = _read(path)
        if found is not None:
            with suppress(OSError):  # it was removed just now
                facts = path.stat()
                yield RuntimeCacheEntry(path, found[0], facts.st_size, facts.st_mtime)


def _read(path: Path) -> tuple[RuntimeCacheKey, bytes] | None:
    try:
        header, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    try:
        facts = json.loads(header)
        if facts["schema"] != SCHEMA:
            return None
        key = RuntimeCacheKey(**{field.name: facts["key"][field.name] for field in fields(RuntimeCacheKey)})
        whole = facts["sha256"] == hashlib.sha256(content).hexdigest()
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        _log.warning("%s is damaged and passed over; the kernels are compiled again", path)
        return None
    return key, content
