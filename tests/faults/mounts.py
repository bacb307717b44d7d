"""File systems of a kind for one program alone, in a mount namespace: root may make one, and elsewhere anybody."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["LEFT", "can_mount", "mounted", "read_only"]

OWN = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
LEFT = "-- what is left --"
# Afterwards the file system is gone, so that what is in it is said before.
MOUNT = f"""
mount -t tmpfs -o "$2" tmpfs "$1" || exit 99
folder=$1; shift 2
"$@"
status=$?
echo '{LEFT}'; ls -A "$folder"
exit $status
"""
# The folder stays as it is.
READ_ONLY = """
mount --bind "$1" "$1" && mount --make-rprivate / && mount -o remount,bind,ro / || exit 99
shift
exec "$@"
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*OWN, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def mounted(folder: Path, options: str) -> list[str]:
    """What a command begins with that is to find a file system of its own at a folder.

    It prints :data:`LEFT` and the names in the folder behind what the command prints.
    """
    return [*OWN, "sh", "-c", MOUNT, "sh", str(folder), options]


def read_only(folder: Path) -> list[str]:
    """What a command begins with that may write to nothing but a folder."""
    return [*OWN, "sh", "-c", READ_ONLY, "sh", str(folder)]
