"""What the kernels take of each device: ``python -m cpp_ext.resources`` prints it as a table. Needs nvcc and cmake."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ARCHITECTURES",
    "LIBRARY",
    "KernelResources",
    "build_verbosely",
    "count_instructions",
    "find_disassembler",
    "known_architectures",
    "parse_ptxas",
]

ROOT = Path(__file__).parent
ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)  # what the project names; CMakeLists.txt has the same list
LIBRARY = "libiic_operators.so"  # what build_verbosely() leaves in its folder
NAME = r"_ZN3iic\d+(?P<kernel>\w+?Kernel)I(?P<instance>\w*?)E+v\w*"
ENTRY = re.compile(
    rf"Compiling entry function '{NAME}' for 'sm_(?P<arch>\d+)'"
    r".*?(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
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
    local_bytes: int  # the stack, and stores and loads of spilled registers


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
            int(found["stack"]) + int(found["stores"]) + int(found["loads"]),
        )
        for found in ENTRY.finditer(log)
    ]


def find_disassembler() -> Path | None:
    """The folder of cuobjdump and nvdisasm: of the CUDA toolkit on PATH, or of their wheels; None without both."""
    folders = [Path(found).parent for name in ("cuobjdump", "nvdisasm") if (found := shutil.which(name))]
    try:
        wheel = importlib.metadata.distribution("nvidia-cuda-cuobjdump")
        folders += [Path(str(wheel.locate_file(f))).parent for f in wheel.files or () if f.name == "cuobjdump"]
    except importlib.metadata.PackageNotFoundError:
        pass
    both = (f for f in folders if (f / "cuobjdump").is_file() and (f / "nvdisasm").is_file())
    return next(both, None)


def count_instructions(library: Path, arch: int, tools: Path) -> dict[tuple[str, str], Counter[str]]:
    """Reads the machine code for one device.

    Args:
        library: what :func:`build_verbosely` built.
        arch: one of :data:`ARCHITECTURES`.
        tools: as :func:`find_disassembler` says.

    Returns:
        Of each kernel and instance how often each instruction stands in it, without its modifiers.

    Raises:
        subprocess.CalledProcessError: cuobjdump failed; ``stderr`` says why.
    """
    command = [str(tools / "cuobjdump"), "-sass", "-arch", f"sm_{arch}", str(library)]
    environ = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}  # cuobjdump looks for nvdisasm
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout
    counts: dict[tuple[str, str], Counter[str]] = {}
    for part in text.split("Function : ")[1:]:
        found = re.match(NAME, part)
        assert found is not None, part[:200]
        opcodes = re.findall(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?\w+ )?([A-Z0-9]+)", part, re.MULTILINE)
        counts[found["kernel"], found["instance"]] = Counter(opcodes)
    return counts


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        kernels = parse_ptxas(build_verbosely(Path(folder)))
    print("kernel | instance | device | registers | shared bytes | local bytes")
    for k in sorted(kernels, key=lambda k: (k.kernel, k.instance, k.arch)):
        print(f"{k.kernel} | {k.instance} | sm_{k.arch} | {k.registers} | {k.shared_bytes} | {k.local_bytes}")


if __name__ == "__main__":
    main()
