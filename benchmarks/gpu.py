"""All that needs an NVIDIA GPU, in one go: tests, sanitizers, kernel timing, engines, and the comparison with peers.

``TENSORRT_INCLUDE_DIR=... python -m benchmarks.gpu --out benchmarks/results/DEVICE``

Each part runs by itself within its own time limit and leaves its log and its JSON in the folder; ``gpu.json`` says of
each whether it passed, and why not. ``--rehearse`` runs what of each part runs without a GPU, into the same places.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import environment, write_record
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle

__all__ = ["PARTS", "Part", "main", "run_part"]

ROOT = Path(__file__).parents[1]
LAST_LINES = 12  # of a log, that the summary quotes


@dataclass(frozen=True)
class Part:
    """A command, what stands for it where there is no GPU (nothing: it is left out), and the seconds it may take.

    In both, ``{out}`` is the folder of the results, ``{backend}`` the backend measured, ``{python}`` the interpreter,
    and ``{architectures}`` what the plugin is built for.
    """

    name: str
    command: str
    rehearsal: str | None
    seconds: int


BENCH = "{python} -m iic_rt.bench --mode both --json {out}/bench.json"
PEERS = "{python} -m benchmarks.gpu_peers --out {out}/peers.json"
TIMING = "{python} -m cpp_ext.bench.kernel_bench"
ENGINES = "{python} -m iic_rt engines build --target {backend} --sides 256,512,640,768,1024 --precision"
PARTS = (  # what the others need and what tells most comes first, should the time on the device end early
    Part("device", "{python} -m iic_rt info --json", "{python} -m iic_rt info --json", 60),
    Part("plugin", "cpp_ext/plugin/install.sh {architectures}", "cpp_ext/plugin/install.sh 80", 120),
    Part("engines", f"{ENGINES} fp16", f"{ENGINES} fp16", 200),
    Part("float32 engines", f"{ENGINES} fp32", None, 200),
    Part("GPU tests", "{python} -m pytest -m gpu --ignore tests/cpp_ext tests", None, 240),
    Part(
        "bench",
        f"{BENCH} --backend {{backend}}:fp16 {{backend}}:fp32 onnxruntime --size 256 512 1024 --plot {{out}}/bench.png",
        f"{BENCH} --backend onnxruntime --size 256 --repeats 3 --plot {{out}}/bench.png",
        300,
    ),
    Part("peers", f"{PEERS} --backend {{backend}}", f"{PEERS} --backend onnxruntime --device cpu --repeats 1", 300),
    # Against the reference, and through compute-sanitizer: memcheck, racecheck, initcheck, synccheck.
    Part("kernels", "{python} -m pytest -m gpu tests/cpp_ext", "{python} -m pytest tests/cpp_ext", 400),
    Part("kernel timing", f"{TIMING} --out {{out}}/kernels.json", f"{TIMING} --help", 300),
)


def run_part(part: Part, command: str, out: Path, **names: str) -> dict[str, Any]:
    """Runs one part; its output goes to a log in ``out``, its end into the result where it failed."""
    arguments = [a.format(out=out, python=sys.executable, **names) for a in shlex.split(command)]
    log = out / f"{part.name.replace(' ', '-')}.log"
    started = time.monotonic()
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    if command == part.command:
        environ["IIC_RT_REQUIRE_GPU"] = "1"  # a test that finds no GPU fails
    with log.open("wb") as stream:
        try:
            process = subprocess.Popen(
                arguments, stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT, env=environ, start_new_session=True
            )
            status = process.wait(part.seconds)
            state = "passed" if status == 0 else f"failed with {status}"
        except subprocess.TimeoutExpired:
            state = f"ran past {part.seconds} s"
            os.killpg(process.pid, signal.SIGKILL)  # with its children, which would disturb the next part
            process.wait()
        except OSError as error:
            state = f"could not be started: {error}"
    result: dict[str, Any] = {"command": shlex.join(arguments), "state": state}
    result["seconds"] = round(time.monotonic() - started, 1)
    if state != "passed":
        result["last_lines"] = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return result


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, named after the device")
    parser.add_argument("--backend", default="tensorrt-rtx", help="backend to measure (default %(default)s)")
    parser.add_argument("--architectures", default="", help="of the plugin, such as 87; the GPU is asked by default")
    parser.add_argument("--only", nargs="+", metavar="PART", help=f"of: {', '.join(part.name for part in PARTS)}")
    parser.add_argument("--rehearse", action="store_true", help="run what of each part runs without a GPU")
    options = parser.parse_args(argv)
    unknown = set(options.only or ()) - {part.name for part in PARTS}
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}")
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {}
    record = environment(load_bundle(DEFAULT_BUNDLE)) | {"rehearsal": options.rehearse, "parts": parts}
    for part in PARTS:
        command = part.rehearsal if options.rehearse else part.command
        if command is None or (options.only and part.name not in options.only):
            continue
        print(f"{part.name} ...", flush=True)
        parts[part.name] = run_part(part, command, out, backend=options.backend, architectures=options.architectures)
        print(f"    {parts[part.name]['state']} after {parts[part.name]['seconds']} s", flush=True)
        write_record(out / "gpu.json", record)  # a machine that goes away takes no finished part with it
    return int(any(result["state"] != "passed" for result in parts.values()))


if __name__ == "__main__":
    sys.exit(main())
