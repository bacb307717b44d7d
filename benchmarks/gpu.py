"""All that needs an NVIDIA GPU, in one go: tests, sanitizers, kernel timing, engines, and the comparison with peers.

``TENSORRT_INCLUDE_DIR=... python -m benchmarks.gpu --out benchmarks/results/DEVICE --seconds 570``

Parts run one after another, those that tell most first, each within its own time limit and within what is left of
``--seconds``. Each leaves its log and its JSON in the folder; ``gpu.json`` says of each whether it passed, and why not.
Both are written as the work goes, and all files once more in one archive, so that an end at any moment costs the part
in hand alone. A second call with ``--only`` adds parts. ``--rehearse`` runs what of each part runs without a GPU, into
the same places.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import scene
from benchmarks.record import environment, write_record
from iic_rt import InpaintOptions
from iic_rt.bench.cases import synthetic
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle
from iic_rt.files import replacing
from iic_rt.masks import Masks
from iic_rt.pipeline.regions import find_regions

__all__ = ["PARTS", "Part", "main", "run_part", "sides"]

ROOT = Path(__file__).parents[1]
LAST_LINES = 12  # of a log, that the summary quotes
SECONDS = 570  # for all parts together
LEAST = 0.1  # of a part's time limit: with less left it is not started


@dataclass(frozen=True)
class Part:
    """A command, what stands for it where there is no GPU (nothing: it is left out), and the seconds it may take.

    With more than ``SECONDS`` for all, each may take proportionally more. In both commands, ``{out}`` is the folder of
    the results, ``{backend}`` the backend measured, ``{python}`` the interpreter, ``{architectures}`` what the plugin
    is built for, and ``{sides}`` those of the regions that engines are built for.
    """

    name: str
    command: str
    rehearsal: str | None
    seconds: int


SIZES, HOLE = (256, 512, 1024), 15  # pixels, percent
SANITIZED = "tests/cpp_ext/test_kernels_sanitized.py"
BENCH = f"{{python}} -m iic_rt.bench --mode both --hole {HOLE} --json {{out}}/bench.json --plot {{out}}/bench.png"
PEERS = "{python} -m benchmarks.gpu_peers --out {out}/peers.json"
TIMING = "{python} -m cpp_ext.bench.kernel_bench"
ENGINES = "{python} -m iic_rt engines build --target {backend} --sides {sides} --precision"
CONTENDERS = f"{{backend}}:fp16 {{backend}}:fp32 onnxruntime --size {' '.join(map(str, SIZES))}"
PARTS = (
    # Against the reference.
    Part(
        "kernels",
        f"{{python}} -m pytest -m gpu tests/cpp_ext --ignore {SANITIZED}",
        f"{{python}} -m pytest tests/cpp_ext --ignore {SANITIZED}",
        150,
    ),
    Part("kernel timing", f"{TIMING} --out {{out}}/kernels.json", f"{TIMING} --help", 150),
    Part("device", "{python} -m iic_rt info --json", "{python} -m iic_rt info --json", 30),
    Part("plugin", "cpp_ext/plugin/install.sh {architectures}", "cpp_ext/plugin/install.sh 80", 90),
    Part("engines", f"{ENGINES} fp16", f"{ENGINES} fp16", 120),
    Part("float32 engines", f"{ENGINES} fp32", None, 120),
    Part("GPU tests", "{python} -m pytest -m gpu --ignore tests/cpp_ext tests", None, 200),
    Part("bench", f"{BENCH} --backend {CONTENDERS}", f"{BENCH} --backend onnxruntime --size 256 --repeats 3", 150),
    Part("peers", f"{PEERS} --backend {{backend}}", f"{PEERS} --backend onnxruntime --device cpu --repeats 1", 200),
    # The kernels again, through compute-sanitizer: memcheck, racecheck, initcheck, synccheck.
    Part("sanitizers", f"{{python}} -m pytest -m gpu {SANITIZED}", f"{{python}} -m pytest {SANITIZED}", 400),
)


def sides() -> tuple[int, ...]:
    """Pixels on a side of the regions that the measurements fill, as the runtime finds them."""
    working_size = load_bundle(DEFAULT_BUNDLE).working_size
    holes = [synthetic(size, size, HOLE).hole for size in SIZES] + [scene()[1]]
    context = InpaintOptions().context
    regions = [r for hole in holes for r in find_regions(Masks(hole), working_size=working_size, context=context)]
    return tuple(sorted({region.side for region in regions}))


@contextmanager
def process_group() -> Iterator[int]:
    """A process group that is killed when the block ends, or with this process, however that ends.

    Its first process waits for the end of a pipe that this process alone holds open.
    """
    keeper = ["sh", "-c", "trap '' HUP INT TERM; read -r _; kill -KILL 0"]
    with subprocess.Popen(keeper, stdin=subprocess.PIPE, preexec_fn=os.setpgrp) as first:
        yield first.pid  # leaving closes the pipe


def run_part(part: Part, command: str, out: Path, *, seconds: float, **names: str) -> dict[str, Any]:
    """Runs one part for ``seconds`` at most; its output goes to a log in ``out``, its end into a failure's result."""
    arguments = [a.format(out=out, python=sys.executable, **names) for a in shlex.split(command)]
    log = out / f"{part.name.replace(' ', '-')}.log"
    started = time.monotonic()
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    if command == part.command:
        environ["IIC_RT_REQUIRE_GPU"] = "1"  # a test that finds no GPU fails
    with log.open("wb") as stream, process_group() as group:
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environ,
                preexec_fn=lambda: os.setpgid(0, group),
            )
            status = process.wait(seconds)
            state = "passed" if status == 0 else f"failed with {status}"
        except subprocess.TimeoutExpired:
            state = f"ran past {seconds:.0f} s"
        except OSError as error:
            state = f"could not be started: {error}"
    result: dict[str, Any] = {"state": state, "seconds": round(time.monotonic() - started, 1)}
    result["command"] = shlex.join(arguments)
    if state != "passed":
        result["last_lines"] = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return result


def save(out: Path, record: dict[str, Any]) -> None:
    """``gpu.json``, and an archive of all that is in the folder."""
    write_record(out / "gpu.json", record)
    archive = out / f"{out.name}.tar.gz"
    with replacing(archive) as partial, tarfile.open(partial, "w:gz") as tar:
        for path in sorted(out.iterdir()):
            if path.is_file() and path not in (archive, partial):
                tar.add(path, f"{out.name}/{path.name}")


def parts_before(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """What an earlier call of the same kind and commit left of its parts."""
    if not path.exists():
        return {}
    before: dict[str, Any] = json.loads(path.read_text())
    same = all(before[name] == record[name] for name in ("commit", "rehearsal"))
    return dict(before["parts"]) if same else {}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, named after the device")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="time for all parts together (default %(default)s)"
    )
    parser.add_argument("--backend", default="tensorrt-rtx", help="backend to measure (default %(default)s)")
    parser.add_argument("--architectures", default="", help="of the plugin, such as 87; the GPU is asked by default")
    parser.add_argument("--only", nargs="+", metavar="PART", help=f"of: {', '.join(part.name for part in PARTS)}")
    parser.add_argument("--rehearse", action="store_true", help="run what of each part runs without a GPU")
    options = parser.parse_args(argv)
    unknown = set(options.only or ()) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}")
    end = time.monotonic() + options.seconds
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    record = environment(load_bundle(DEFAULT_BUNDLE)) | {"rehearsal": options.rehearse}
    parts = record["parts"] = parts_before(out / "gpu.json", record)
    names = {"backend": options.backend, "architectures": options.architectures}
    names["sides"] = ",".join(map(str, sides()))
    states = []
    try:
        for part in PARTS:
            command = part.rehearsal if options.rehearse else part.command
            if command is None or (options.only and part.name not in options.only):
                continue
            print(f"{part.name} ...", flush=True)
            left, most = end - time.monotonic(), part.seconds * max(1.0, options.seconds / SECONDS)
            if left < LEAST * most:
                parts[part.name] = {"state": f"left out: {max(left, 0):.0f} s were left, and it may take {most:.0f}"}
            else:
                parts[part.name] = {"state": "did not end"}
                write_record(out / "gpu.json", record)
                parts[part.name] = run_part(part, command, out, seconds=min(left, most), **names)
            states.append(parts[part.name]["state"])
            print(f"    {states[-1]}; {max(end - time.monotonic(), 0):.0f} s left", flush=True)
            save(out, record)
    finally:
        save(out, record)  # with what a part that was interrupted has written
    return int(any(state != "passed" for state in states))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main())
