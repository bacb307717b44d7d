"""A video that is not finished: its parts, and beside them the record of the run that writes them.

The record is there before all else of a run, and goes when the video is whole. So whoever is to go on can tell a video
that an earlier run has finished from one that this run was to replace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from iic_rt.errors import InputError
from iic_rt.files import make_folder, remove_stale, write_bytes

__all__ = ["UnfinishedVideo"]


class UnfinishedVideo:
    """What lies beside a video until it is finished.

    Args:
        path: of the video.

    Attributes:
        record: path of the record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.record = path.with_name(f"{path.stem}.part0{path.suffix}.json")

    def parts(self) -> list[Path]:
        """The parts that are there, in order."""
        return sorted((path for path in self._path.parent.glob("*") if self._number(path)), key=self._number)

    def next_part(self) -> Path:
        """Where the next part goes."""
        number = max((self._number(part) for part in self.parts()), default=0) + 1
        return self._path.with_name(f"{self._path.stem}.part{number}{self._path.suffix}")

    def _number(self, path: Path) -> int:
        """The number of a part; 0 of other files."""
        match = re.fullmatch(re.escape(self._path.stem) + r"\.part(\d+)" + re.escape(self._path.suffix), path.name)
        return 0 if match is None else int(match[1])

    def begin(self, settings: Mapping[str, object], *, resume: bool) -> bool:
        """Writes the record of a run, before anything else of it.

        Args:
            settings: by name, what is the same for all runs that write parts of one video.
            resume: go on where an earlier run was stopped.

        Returns:
            False where there is nothing to go on with: the video is there, and no run was stopped.

        Raises:
            InputError: the parts are of a run with other settings.
            OutputError: the record cannot be written.
        """
        remove_stale(self._path.parent)
        parts = self.parts()
        if parts and not resume:  # the writer refuses that, and they keep their record
            return True
        before = self._read()
        if resume and not parts and before is None and self._path.exists():
            return False
        if parts and before is not None:
            self._check(before, settings, parts)
        make_folder(self._path.parent)
        write_bytes(self.record, json.dumps(settings, indent=1).encode())
        return True

    def _check(self, before: Mapping[str, object], now: Mapping[str, object], parts: list[Path]) -> None:
        """Whether parts were written with the settings of now."""
        name = next((name for name in now if before.get(name) != now[name]), None)
        if name is not None:
            raise InputError(
                f"{parts[-1]} was written with {name} {before.get(name)}, and now it is {now[name]}; give what the "
                f"first run was given, or delete {', '.join(path.name for path in (self.record, *parts))} to begin anew"
            )

    def _read(self) -> dict[str, object] | None:
        try:
            found = json.loads(self.record.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def forget(self) -> None:
        """Removes the record of a run that has ended, unless there are parts, or an older video that it tells from."""
        if not self.parts() and not self._path.exists():
            with suppress(OSError):
                self.record.unlink(missing_ok=True)
