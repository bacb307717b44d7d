"""What the kernels take of each device: ``python -m cpp_ext.resources`` prints it as a table. Needs nvcc and cmake."""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ARCHITECTURES", "KernelResources", "build_verbosely", "known_architectures", "parse_ptxas"]

ROOT = Path(__file__).parent
ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)  # what the project names; CMakeLists.txt has the same list
ENTRY = re.compile(
    r"Compiling entry function '_ZN3iic\d+(?P<kernel>\w+?Kernel)I(?P<instance>\w*?)E+v\w*' for 'sm_(?P<arch>\d+)'"
    r".*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class KernelResources:
    kernel: str
    instance: str  # template arguments as ptxas names them
    arch: int
    registers: int  # a thread
    shared_bytes: int  # a block
    spill_bytes: int  # stores and loads


def known_architectures() -> set[int]:
    """Those of :data:`ARCHITECTURES` that the installed toolkit can build for."""
    listed = subprocess.run(["nvcc", "--list-gpu-arch"], check=True, capture_output=True, text=True).stdout
    return set(ARCHITECTURES) & {int(arch) for arch in re.findall(r"compute_(\d+)", listed)}


def build_verbosely(folder: Path) -> str:
    """Builds the library in ``folder`` as CMake does for every device and returns what the compilers said.

    Raises:
        subprocess.CalledProcessError: CMake or nvcc failed; ``stdout`` and ``stderr`` say why.
    """
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run([*configure, "-DCMAKE_CUDA_FLAGS=-Xptxas=-v"], check=True, capture_output=True, text=True)
    build = ["cmake", "--build", str(folder), "--target", "iic_operators", "--verbose"]
    done = subprocess.run(build, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def parse_ptxas(log: str) -> list[KernelResources]:
    """Reads what ``ptxas -v`` wrote of each kernel for each device."""
    return [
        KernelResources(
            found["kernel"],
            found["instance"],
            int(found["arch"]),
            int(found["registers"]),
            int(found["shared"] or 0),
            int(found["stores"]) + int(found["loads"]),
        )
        for found in ENTRY.finditer(log)
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        kernels = parse_ptxas(build_verbosely(Path(folder)))
    print("kernel | instance | device | registers | shared bytes | spilled bytes")
    for k in sorted(kernels, key=lambda k: (k.kernel, k.instance, k.arch)):
        print(f"{k.kernel} | {k.instance} | sm_{k.arch} | {k.registers} | {k.shared_bytes} | {k.spill_bytes}")


if __name__ == "__main__":
    main()
