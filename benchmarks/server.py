"""What the server costs beside the direct call, and what it does under load.

``python -m benchmarks.server --out benchmarks/results/x86-2-cores/server.json`` starts ``iic-rt serve`` in a process of
its own and measures, at 768x512 with one object:

- one client: whole requests in turn with the direct call, on arrays and with decoding and encoding;
- many clients: images a second in turn with a direct loop, and the time a request takes against the time that the
  images before it take;
- two workers, each with half of the cores, in turn with one;
- ``--minutes`` of load: how the memory of the server goes;
- SIGTERM under load: how many requests were accepted, and how many answered.

The clients take processor time as well; compare ratios, not milliseconds, on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import measure, summary
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.image_io import decode_image, decode_mask, encode_image, read_image

__all__ = ["main"]

WIDTH, HEIGHT = 768, 512
PHOTO = Path(__file__).parents[1] / "examples" / "wren.jpg"
BOUNDARY = "benchmark"
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
ROUNDS_OF_LOAD = 4
BEFORE_THE_END = 5.0  # seconds of load before SIGTERM
SUFFIXES = (".jpg", ".png")
IN_SERVICE = ("decode", "fill", "encode")  # stages of a request, without the wait
WARM = 0.1  # share of the time after which memory is compared: pools and buffers have their sizes by then


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph and the mask of a round object, 5 % of it."""
    image = cv2.resize(read_image(PHOTO), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (WIDTH // 2, HEIGHT // 2), round((0.05 * WIDTH * HEIGHT / np.pi) ** 0.5), 255, -1)
    return np.asarray(image, np.uint8), mask


def form(image: bytes, mask: bytes) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode() + content
        for name, content in (("image", image), ("mask", mask))
    ]
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


@dataclass
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    log: TextIO

    def resident_mib(self) -> float:
        """Memory of the server that lies in RAM."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096 / 2**20

    def stages(self) -> dict[str, tuple[float, float]]:
        """Seconds and requests of each stage so far, as ``/metrics`` has them."""
        with closing(HTTPConnection(self.address)) as client:
            client.request("GET", "/metrics")
            text = client.getresponse().read().decode()
        sums, counts = (
            dict(re.findall(rf'^iic_rt_stage_seconds_{kind}{{stage="(\w+)"}} (\S+)$', text, re.MULTILINE))
            for kind in ("sum", "count")
        )
        return {name: (float(sums[name]), float(counts[name])) for name in sums}


@contextmanager
def serving(arguments: list[str], command: list[str]) -> Iterator[Served]:
    """A server that is ready."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip().removeprefix("iic-rt: http://")
            with closing(HTTPConnection(address)) as client:
                while ask(client, "GET", "/readyz") != 200:
                    time.sleep(0.1)
            yield Served(process, address, log)
        finally:
            process.kill()
            process.communicate()


def ask(client: HTTPConnection, method: str, path: str, body: bytes | None = None) -> int:
    """The status of an answer, which is read to its end."""
    client.request(method, path, body, HEADERS if body is not None else {})
    answer = client.getresponse()
    answer.read()
    return answer.status


@dataclass
class Load:
    """Clients that ask again and again, each as soon as it was answered."""

    address: str
    body: bytes
    clients: int
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: int = 0
    over: bool = False

    def begin(self, requests: int | None = None) -> list[threading.Thread]:
        """Starts them; each ends after so many requests, or when it is told."""
        threads = [threading.Thread(target=self._ask, args=(requests,)) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        return threads

    def run(self, requests: int) -> float:
        """Images a second."""
        began = time.perf_counter()
        for thread in self.begin(requests):
            thread.join()
        return self.clients * requests / (time.perf_counter() - began)

    def _ask(self, requests: int | None) -> None:
        asked = 0
        with closing(HTTPConnection(self.address, timeout=120)) as client:
            while not self.over and asked != requests:
                began = time.perf_counter()
                try:
                    client.request("POST", "/v1/remove", self.body, HEADERS)
                except OSError:
                    return  # the server is gone
                try:
                    answer = client.getresponse()
                    answer.read()
                except (OSError, HTTPException):
                    self.unanswered += 1
                    return
                self.seconds.append(time.perf_counter() - began)
                self.statuses[answer.status] += 1
                asked += 1


def direct_calls(inpainter: Inpainter, suffix: str) -> dict[str, Callable[[], object]]:
    """The call without a server: on arrays, and with the decoding and encoding that a server has to do."""
    image, mask = scene()
    encoded, encoded_mask = encode_image(image, suffix), encode_image(mask, ".png")

    def with_files() -> None:
        result = inpainter.inpaint(decode_image(encoded, "image"), decode_mask(encoded_mask, "mask"))
        encode_image(result.image, suffix)

    return {"direct": lambda: inpainter.inpaint(image, mask), "direct_files": with_files}


def request_body(suffix: str) -> bytes:
    """What a client sends."""
    image, mask = scene()
    return form(encode_image(image, suffix), encode_image(mask, ".png"))


def measure_overhead(server: Served, inpainter: Inpainter, suffix: str, repeats: int) -> dict[str, Any]:
    """One client: requests, and the direct calls, in turn."""
    body = request_body(suffix)
    with closing(HTTPConnection(server.address)) as client:
        calls = direct_calls(inpainter, suffix)
        found = measure(calls | {"served": lambda: ask(client, "POST", "/v1/remove", body)}, repeats=repeats)
    served = np.array(found["served"])
    return {
        "ms": {name: summary(values) for name, values in found.items()},
        "ratios": {name: summary((served / np.array(found[name])).tolist()) for name in calls},
    }


def measure_load(server: Served, inpainter: Inpainter, clients: int, images: int) -> dict[str, Any]:
    """Many clients, in turn with loops of direct calls."""
    load = Load(server.address, request_body(".jpg"), clients)
    load.run(2)
    load.seconds.clear()
    load.statuses.clear()
    before, calls = server.stages(), direct_calls(inpainter, ".jpg")
    rates: dict[str, list[float]] = {name: [] for name in (*calls, "served")}
    for _ in range(ROUNDS_OF_LOAD):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(images):
                call()
            rates[name].append(images / (time.perf_counter() - began))
        rates["served"].append(load.run(max(2, images // clients)))
    after = server.stages()
    stages = {name: (after[name][0] - before[name][0]) / (after[name][1] - before[name][1]) for name in after}
    service = sum(stages[name] for name in IN_SERVICE)
    times, served = summary([1e3 * seconds for seconds in load.seconds]), np.array(rates["served"])
    return {
        "clients": clients,
        "requests": len(load.seconds),
        "statuses": dict(load.statuses),
        "images_a_second": {name: [round(value, 3) for value in values] for name, values in rates.items()},
        "throughput": {name: round(float(np.median(served / np.array(rates[name]))), 4) for name in calls},
        "ms": times,
        "service_ms": round(1e3 * service, 2),
        "stages_ms": {name: round(1e3 * seconds, 2) for name, seconds in stages.items()},
        "p99_share_of_queue": round(times["p99"] / (1e3 * clients * service), 4),
    }


def measure_workers(one: Served, two: Served, clients: int, images: int) -> dict[str, Any]:
    """Images a second of a server with two workers, in turn with that of one; the cores are the same."""
    body = request_body(".jpg")
    loads = {name: Load(server.address, body, clients) for name, server in (("one", one), ("two", two))}
    found: dict[str, list[float]] = {name: [] for name in loads}
    for load in loads.values():
        load.run(2)
        load.seconds.clear()
    for _ in range(ROUNDS_OF_LOAD):
        for name, load in loads.items():
            found[name].append(load.run(max(2, images // clients)))
    ratios = np.array(found["two"]) / np.array(found["one"])
    return {
        "images_a_second": {name: [round(value, 3) for value in values] for name, values in found.items()},
        "throughput": round(float(np.median(ratios)), 4),
        "ms": {name: summary([1e3 * seconds for seconds in load.seconds]) for name, load in loads.items()},
    }


def measure_memory(server: Served, clients: int, minutes: float) -> dict[str, Any]:
    """How the memory of the server goes under load."""
    load = Load(server.address, request_body(".jpg"), clients)
    threads, began, resident = load.begin(), time.monotonic(), []
    while time.monotonic() - began < 60 * minutes:
        time.sleep(min(1.0, minutes * 60 / 50))
        resident.append(server.resident_mib())
    load.over = True
    for thread in threads:
        thread.join()
    warm = resident[int(WARM * len(resident)) :]
    return {
        "minutes": minutes,
        "requests": sum(load.statuses.values()),
        "statuses": dict(load.statuses),
        "unanswered": load.unanswered,
        "warm_mib": round(warm[0], 1),
        "grown_mib": round(max(warm) - warm[0], 2),
        "end_mib": round(warm[-1], 1),
    }


def measure_end(server: Served, clients: int) -> dict[str, Any]:
    """SIGTERM under load: what was accepted and what was answered, by the server and by its clients."""
    load = Load(server.address, request_body(".jpg"), clients)
    threads = load.begin()
    time.sleep(BEFORE_THE_END)
    began = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    status = server.process.wait(120)
    seconds = time.perf_counter() - began
    load.over = True
    for thread in threads:
        thread.join()
    server.log.seek(0)
    said = re.search(r"ended: (\d+) requests accepted, (\d+) answered", server.log.read())
    return {
        "exit_status": status,
        "seconds": round(seconds, 2),
        "accepted": int(said[1]) if said else None,
        "answered": int(said[2]) if said else None,
        "answers_received": load.statuses[200],
        "statuses": dict(load.statuses),
        "connections_cut": load.unanswered,
    }


def main(argv: list[str] | None = None, *, command: list[str] | None = None) -> int:
    """Measures; ``command`` starts the server, in place of ``python -m iic_rt serve``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.server", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision")
    parser.add_argument("--repeats", type=int, default=40, help="rounds of the one client")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--images", type=int, default=64, help="of a round under load")
    parser.add_argument("--minutes", type=float, default=10.0, help="of load, for the memory")
    arguments = parser.parse_args(argv)
    command = command or [sys.executable, "-m", "iic_rt", "serve"]
    options = InpaintOptions(channel_order="bgr")
    told = ["--backend", arguments.backend]
    if arguments.precision is not None:
        told += ["--precision", arguments.precision]
    with (
        Inpainter(backend=arguments.backend, precision=arguments.precision, options=options) as inpainter,
        serving(told, command) as server,
    ):
        record: dict[str, Any] = environment(inpainter.bundle) | {
            "size": [WIDTH, HEIGHT],
            "backend": inpainter.backend_name,
            "precision": inpainter.precision,
            "one_client": {
                suffix[1:]: measure_overhead(server, inpainter, suffix, arguments.repeats) for suffix in SUFFIXES
            },
            "load": measure_load(server, inpainter, arguments.clients, arguments.images),
        }
        with serving([*told, "--workers", "2"], command) as other:
            record["two_workers"] = measure_workers(server, other, arguments.clients, arguments.images)
        print(f"{arguments.minutes:g} minutes of load", file=sys.stderr, flush=True)
        record["memory"] = measure_memory(server, arguments.clients, arguments.minutes)
    with serving(told, command) as server:
        record["end"] = measure_end(server, arguments.clients)
    write_record(arguments.out, record)
    for kind, row in record["one_client"].items():
        for name, ratio in row["ratios"].items():
            print(f"{kind}: a request takes {ratio['p50']:.3f} x {name} (p50; p90 {ratio['p90']:.3f})")
    load, memory, end = record["load"], record["memory"], record["end"]
    for name, ratio in load["throughput"].items():
        print(f"{load['clients']} clients: {ratio:.3f} x the images of a loop of {name}")
    print(f"p99 {load['ms']['p99']:.0f} ms, {load['p99_share_of_queue']:.3f} x clients x service time")
    print(f"two workers: {record['two_workers']['throughput']:.3f} x the images of one")
    print(f"{memory['minutes']} minutes: {memory['requests']} requests, grown by {memory['grown_mib']} MiB")
    print(f"SIGTERM: {end['accepted']} accepted, {end['answered']} answered, {end['answers_received']} received")
    return 0


if __name__ == "__main__":
    sys.exit(main())
