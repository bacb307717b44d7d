"""NVIDIA Jetson: power rails, memory and temperatures from ``tegrastats``, the power mode from ``nvpmodel``."""

from __future__ import annotations

import re
import subprocess
import threading
from typing import Any

from iic_rt.bench.sensor import Absent

__all__ = ["Tegrastats", "parse_nvpmodel", "parse_tegrastats", "power_mode"]

INTERVAL_MS = 100
WHOLE_BOARD = ("VDD_IN", "VIN")  # the rail that feeds all others, where a board measures it: Orin Nano and NX, Thor


def parse_tegrastats(line: str) -> dict[str, Any]:
    """One line of ``tegrastats``: memory in MiB, GPU load in percent, temperatures in °C, rails in milliwatts.

    What a board does not print is left out.
    """
    found: dict[str, Any] = {}
    if ram := re.search(r"\bRAM (\d+)/(\d+)MB", line):
        found["ram_mib"] = int(ram[1])
    if load := re.search(r"\bGR3D_FREQ (\d+)%", line):
        found["gpu_percent"] = int(load[1])
    temperatures = {name.lower(): float(value) for name, value in re.findall(r"(\w+)@(-?[\d.]+)C\b", line)}
    # A sensor that is switched off reads -256.
    found["temperatures_c"] = {name: value for name, value in temperatures.items() if value > -200}
    found["rails_mw"] = {name: int(now) for name, now in re.findall(r"\b([A-Z]\w*) (\d+)mW/\d+mW", line)}
    found["rails_mw"].pop("NC", None)  # an input that is not connected
    return found


def parse_nvpmodel(text: str) -> dict[str, Any]:
    """Name and number of the mode in the output of ``nvpmodel -q``.

    Raises:
        Absent: it names none.
    """
    mode = re.search(r"NV Power Mode: *(\S+)\s+(\d+)", text)
    if mode is None:
        raise Absent(f"nvpmodel names no mode: {text.strip()!r}")
    return {"name": mode[1], "id": int(mode[2])}


def power_mode() -> dict[str, Any]:
    """The mode that a Jetson runs in.

    Raises:
        Absent: this is none, or it does not say.
    """
    try:
        done = subprocess.run(["nvpmodel", "-q"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        raise Absent(f"nvpmodel, the tool of Jetson boards, does not run: {error}") from error
    return parse_nvpmodel(done.stdout)


class Tegrastats:
    """Reads ``tegrastats`` from a process in the background."""

    def __init__(self) -> None:
        command = ["tegrastats", "--interval", str(INTERVAL_MS)]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError as error:
            raise Absent(f"tegrastats, the tool of Jetson boards, does not run: {error.strerror}") from error
        self._first: int | None = None
        self._peak: int | None = None
        self._timed: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = parse_tegrastats(line)
            if "ram_mib" in found:
                self._first = self._first or found["ram_mib"]
                self._peak = max(self._peak or 0, found["ram_mib"])
            self._timed.append(found)

    def begin(self) -> None:
        self._timed.clear()

    def end(self, seconds: float) -> dict[str, Any]:
        lines = list(self._timed)
        nothing = {"absent": f"tegrastats printed nothing in {seconds:.2f} s; raise --repeats"}
        rails: dict[str, float] = {}
        for name in lines[0]["rails_mw"] if lines else ():
            values = [line["rails_mw"][name] for line in lines if name in line["rails_mw"]]
            rails[name] = round(sum(values) / len(values) / 1e3, 3)
        whole = next((rails[name] for name in WHOLE_BOARD if name in rails), None)
        unknown = {"absent": "no rail of this board measures all of it; see rails_w"} if rails else nothing
        return {
            "covers": "board",
            "joules": unknown if whole is None else round(whole * seconds, 3),
            "watts": unknown if whole is None else whole,
            "rails_w": rails,
            "temperatures_c": lines[-1]["temperatures_c"] if lines else {},
            "memory_growth_mib": nothing if self._peak is None or self._first is None else self._peak - self._first,
        }

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()
