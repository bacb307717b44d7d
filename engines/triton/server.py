"""Runs the Triton server of the package nvidia-pytriton: ``python -m engines.triton.server FOLDER [OPTION...]``.

For machines without NVIDIA's container. The options are those of ``tritonserver``; it listens at 127.0.0.1 unless
they say otherwise. The package holds the server and one Python backend for each version of Python; this puts the one
for this Python where the server looks for it.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

__all__ = ["command"]

ADDRESSES = [f"--{of}-address=127.0.0.1" for of in ("http", "grpc", "metrics")]


def command(folder: Path, options: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command that serves a model repository, and its environment.

    Raises:
        SystemExit: the package is missing, or has no backend for this Python.
    """
    found = find_spec("pytriton")
    if found is None or found.origin is None:
        raise SystemExit(
            "pytriton is not installed: make .venv/triton/ready, and run this with .venv/triton/bin/python"
        )
    server = Path(found.origin).parent / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise SystemExit(f"this pytriton has no Python backend for Python {version}; take 3.10 to 3.12")
    backend = server / "backends" / "python"
    if not (backend / stub.name).exists():
        shutil.copy(stub, backend / f".{stub.name}-{os.getpid()}")
        (backend / f".{stub.name}-{os.getpid()}").replace(backend / stub.name)
    environment = os.environ | {
        # The backend links libpython, and finds the packages of the Python that comes first.
        "LD_LIBRARY_PATH": os.pathsep.join([sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH", "")]),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    told = [f"--model-repository={folder}", f"--backend-directory={backend.parent}"]
    return [str(server / "bin" / "tritonserver"), *told, *ADDRESSES, *options], environment


if __name__ == "__main__":
    line, environment = command(Path(sys.argv[1]), sys.argv[2:])
    os.execve(line[0], line, environment)
