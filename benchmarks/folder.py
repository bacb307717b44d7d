"""Images a second over a folder: one worker, several, Ray with as many actors, Triton with as many instances.

``python -m benchmarks.folder --out benchmarks/results/x86-2-cores/folder.json`` makes a folder of 768x512 images from
the examples, and has each contender fill it, in turn. When each result was written tells how long a contender takes to
start, and how many images a second it fills from then on. Every one has as many threads in all as there are cores.
Ray and Triton take part where ``make .venv/ray/ready .venv/triton/ready`` was run, and have to have the same backend:
``.venv/ray/bin/pip install openvino``, likewise for Triton with ``'numpy<2'`` behind it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.record import environment, write_record
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle
from iic_rt.image_io import read_image, read_mask, write_image
from iic_rt.pool import usable_threads

__all__ = ["main"]

WIDTH, HEIGHT = 768, 512
ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SCENES = ("wren", "dune", "otters")
PYTHONS = {name: ROOT / ".venv" / name / "bin" / "python" for name in ("ray", "triton")}
COMMAND = [sys.executable, "-m", "iic_rt"]


@dataclass
class Folder:
    """Images, their masks, and a place for the results."""

    path: Path
    count: int

    def make(self) -> None:
        """Writes copies of the examples."""
        for kind in ("images", "masks", "out"):
            (self.path / kind).mkdir(parents=True)
        for number in range(self.count):
            scene = SCENES[number % len(SCENES)]
            image, mask = read_image(EXAMPLES / f"{scene}.jpg"), read_mask(EXAMPLES / f"{scene}-mask.png")
            size = WIDTH, HEIGHT
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            write_image(self.path / "images" / f"{number:03d}.jpg", np.asarray(small, np.uint8))
            nearest = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            write_image(self.path / "masks" / f"{number:03d}.png", np.asarray(nearest, np.uint8))

    @property
    def folders(self) -> list[str]:
        return [str(self.path / kind) for kind in ("images", "masks")]

    @property
    def out(self) -> Path:
        return self.path / "out"

    def time(self, command: list[str]) -> dict[str, float]:
        """Of a command that fills the folder: its seconds, those to its first result, and images a second behind it."""
        shutil.rmtree(self.out)
        self.out.mkdir()
        began, wall = time.perf_counter(), time.time()
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        seconds = time.perf_counter() - began
        written = np.sort([path.stat().st_mtime for path in self.out.iterdir()])
        if len(written) != self.count:
            raise SystemExit(
                f"{len(written)} of {self.count} images were written by {' '.join(command)}\n{done.stderr}"
            )
        rate = (self.count - 1) / float(written[-1] - written[0])
        return {"seconds": round(seconds, 3), "first": round(float(written[0]) - wall, 3), "rate": round(rate, 3)}


def remove(workers: int) -> Callable[[Folder], list[str]]:
    told = ["--workers", str(workers)]
    return lambda folder: [*COMMAND, "remove", *folder.folders, "-o", str(folder.out), *told]


def ray(actors: int, threads: int) -> Callable[[Folder], list[str]]:
    told = ["--actors", str(actors), "--threads", str(threads)]
    program = [str(PYTHONS["ray"]), str(EXAMPLES / "ray_folder.py")]
    return lambda folder: [*program, *folder.folders, str(folder.out), *told]


@contextmanager
def triton(instances: int) -> Iterator[tuple[Callable[[Folder], list[str]], float]]:
    """The command of the client of a server that runs, and the seconds that the server took to start."""
    with ExitStack() as opened:
        repository = opened.enter_context(tempfile.TemporaryDirectory())
        told = [repository, "--instances", str(instances)]
        subprocess.run([sys.executable, "-m", "engines.triton", *told], check=True, cwd=ROOT)
        sockets = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = dict(zip(("http", "grpc", "metrics"), (taken.getsockname()[1] for taken in sockets), strict=True))
        for taken in sockets:
            taken.close()
        began = time.perf_counter()
        server = subprocess.Popen(
            [str(PYTHONS["triton"]), "-m", "engines.triton.server", repository]
            + [f"--{name}-port={port}" for name, port in ports.items()],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not _is_ready(f"http://127.0.0.1:{ports['http']}/v2/health/ready"):
                if server.poll() is not None:
                    raise SystemExit(f"Triton ended with status {server.returncode}")
                time.sleep(0.05)
            started = time.perf_counter() - began
            client = [str(PYTHONS["triton"]), "-m", "benchmarks.folder_triton", f"127.0.0.1:{ports['grpc']}"]
            yield lambda folder: [*client, *folder.folders, str(folder.out), str(2 * instances)], started
        finally:
            server.terminate()
            server.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


def backend_of(python: str) -> str:
    """What ``auto`` is for the packages of a Python, and its precision."""
    code = "from iic_rt import Inpainter; opened = Inpainter(); print(opened.backend_name, opened.precision)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.strip()


def summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Medians of the rounds; ratios are those of the same round."""
    rates = {name: np.array([run["rate"] for run in found]) for name, found in runs.items()}
    first = {name: [run["first"] for run in found] for name, found in runs.items()}
    return {
        "images_a_second": {name: round(float(np.median(found)), 3) for name, found in rates.items()},
        "of_one_worker": {name: round(float(np.median(found / rates["one"])), 4) for name, found in rates.items()},
        "first_seconds": {name: round(float(np.median(found)), 2) for name, found in first.items()},
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.folder", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    workers, missing = arguments.workers, [name for name, python in PYTHONS.items() if not python.exists()]
    backend, precision = backend_of(sys.executable).split()
    for name in set(PYTHONS) - set(missing):
        if (other := backend_of(str(PYTHONS[name]))) != f"{backend} {precision}":
            raise SystemExit(
                f"{name} computes with {other}, and the others with {backend} {precision}; install it there"
            )
    record = environment(load_bundle(DEFAULT_BUNDLE))
    threads = max(1, usable_threads() // workers)
    with ExitStack() as opened:
        root = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        folder = Folder(root, arguments.images)
        folder.make()
        commands = {"one": remove(1), "workers": remove(workers)}
        if "ray" not in missing:
            commands["ray"] = ray(workers, threads)
        server_seconds = None
        if "triton" not in missing:
            commands["triton"], server_seconds = opened.enter_context(triton(workers))
        record |= {
            "backend": backend,
            "precision": precision,
            "size": [WIDTH, HEIGHT],
            "images": folder.count,
            "workers": workers,
            "load_average": round(os.getloadavg()[0], 2),  # of what else the machine did
            "triton_server_start_seconds": None if server_seconds is None else round(server_seconds, 2),
            "missing": missing,
            "runs": {name: [] for name in commands},
        }
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                record["runs"][name].append(folder.time(command(folder)))
            record |= summary(record["runs"])
            write_record(arguments.out, record)
    for name, rate in record["images_a_second"].items():
        print(f"{name}: {rate:.2f} images/s, {record['of_one_worker'][name]:.2f} x one worker")
    return 0


if __name__ == "__main__":
    sys.exit(main())
