"""The system calls by which a program changes a folder, listed by strace, which can also make each of them fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KILL", "Call", "can_trace", "disorder", "record", "run_with"]

ROOT = Path(__file__).parents[2]
CHANGING = (
    "open", "openat", "creat", "write", "writev", "pwrite64", "pwritev", "copy_file_range", "sendfile",
    "ftruncate", "truncate", "fallocate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "fsync", "fdatasync",
)  # fmt: skip
WRITING = {"write", "writev", "pwrite64", "pwritev", "copy_file_range", "sendfile", "ftruncate", "truncate"}
SYNCING = {"fsync", "fdatasync"}
KILL = "signal=SIGKILL"
FAST = "--seccomp-bpf"  # the calls that are not listed take no longer; with it strace sends no signals
MOST_SECONDS = 120  # of a program
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Call:
    """A system call that changes a folder.

    Attributes:
        name: of the system call.
        number: which of the calls of this name that touch ``place``, of its thread, from 1.
        paths: that it names, in order; of descriptors too.
        flags: the rest of its arguments.
        place: the first of the paths that strace can look for, relative to the folder.
    """

    name: str
    number: int
    paths: tuple[Path, ...]
    flags: str
    place: Path

    def __str__(self) -> str:
        return f"{self.name} {self.number}: {' '.join(path.name for path in self.paths)}"


def can_trace() -> bool:
    """Whether there is strace, and the right to use it."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode == 0


def record(program: Sequence[str], folder: Path) -> list[Call]:
    """The calls by which a program changes what is in a folder.

    Args:
        program: arguments of this Python.
        folder: absolute.

    Raises:
        AssertionError: the program failed.
    """
    log = folder.with_name(f"{folder.name}.calls")
    done = _trace(program, log, ",".join(CHANGING), FAST)
    assert done.returncode == 0, done.stderr[-2000:]
    return list(_read(log, folder))


def run_with(
    program: Sequence[str], call: Call, what: str, folder: Path
) -> tuple[subprocess.CompletedProcess[str], bool]:
    """Runs a program with something done at a call instead of the call.

    Args:
        program: arguments of this Python.
        call: of an earlier run.
        what: :data:`KILL`, or for example ``"error=EIO"``.
        folder: that the call changed.

    Returns:
        The run, and whether it had that call: what a run writes to a file may come in fewer pieces another time.
    """
    log = folder.with_name(f"{folder.name}.calls")
    log.unlink(missing_ok=True)
    # Calls that touch other files do not count: threads have them in any order.
    options = ["-P", str(folder / call.place), "-e", f"inject={call.name}:{what}:when={call.number}"]
    done = _trace(program, log, call.name, *options, *([] if what == KILL else [FAST]))
    marks = ("= ?", "(INJECTED)")
    return done, any(mark in line for line in log.read_text().splitlines() for mark in marks)


def _trace(program: Sequence[str], log: Path, calls: str, *options: str) -> subprocess.CompletedProcess[str]:
    strace = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", str(log), "-e", f"trace={calls}", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*strace, sys.executable, "-m", "tests.kill.same_names", *program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )


def _read(log: Path, folder: Path) -> Iterator[Call]:
    counts: Counter[tuple[str, str, Path]] = Counter()
    for line in log.read_text().splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        thread, name, rest = match.groups()
        # Descriptors' paths, other than the current folder's, and paths in quotes; what is returned comes behind.
        arguments = re.sub(r"AT_FDCWD<[^>]*>", "", rest.rpartition(") = ")[0] or rest)
        found = re.findall(r'<([^>]*)>|"([^"]+)"', arguments)
        touched = [Path(descriptor or quoted) for descriptor, quoted in found if descriptor or quoted.startswith("/")]
        touched = [path for path in dict.fromkeys(touched) if path == folder or folder in path.parents]
        counts.update((thread, name, path) for path in touched)
        paths: list[Path] = []
        for descriptor, quoted in found:
            if quoted and not quoted.startswith("/") and paths:
                paths[-1] /= quoted  # in the folder of the descriptor before it
            else:
                paths.append(Path(descriptor or quoted))
        only_read = name in ("open", "openat") and not re.search("O_CREAT|O_TRUNC", arguments)
        if touched and not only_read and ") = -1 " not in line:
            number = counts[thread, name, touched[0]]
            yield Call(name, number, tuple(paths), arguments, touched[0].relative_to(folder))


def disorder(calls: Sequence[Call], is_part: re.Pattern[str]) -> list[str]:
    """What a power cut could spoil: the disk may see calls in another order, save where they are synced.

    Args:
        calls: of :func:`record`.
        is_part: names of what is not finished, which nobody reads.

    Returns:
        A line for each rename to a final name whose content is not on the disk by then, for each file that is removed
        before the name of what takes its place is there, and for each name that is not there in the end.
    """
    wrong: list[str] = []
    unsynced: set[Path] = set()  # files with content, folders with names
    renamed: dict[Path, Path] = {}  # by folder, what was renamed in it
    for call in calls:
        first, last = call.paths[0], call.paths[-1]
        if call.name in WRITING or "O_CREAT" in call.flags or "O_TRUNC" in call.flags or call.name.startswith("mkdir"):
            unsynced.add(first)
        elif call.name in SYNCING:
            unsynced.discard(first)
            renamed.pop(first, None)
        elif call.name.startswith("rename"):
            moved = {path for path in unsynced if path == first or first in path.parents}
            if not is_part.fullmatch(last.name):
                wrong += [f"{path.name} gets its name {last.name} unsynced" for path in sorted(moved)]
                renamed[last.parent] = last
            unsynced -= moved
        elif call.name.startswith("unlink") and first.parent in renamed:
            wrong.append(f"{first.name} is removed while the name {renamed[first.parent].name} is unsynced")
    return wrong + [f"the name {path.name} is never synced" for path in renamed.values()]
