"""Energy counters of Intel and AMD processors, as Linux offers them under ``/sys/class/powercap``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iic_rt.bench.sensor import Absent

__all__ = ["Rapl", "rapl_joules"]

POWERCAP = Path("/sys/class/powercap")


class Rapl:
    """Energy counters of the CPU packages, where the kernel lets this user read them."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if _is_package(zone)]
        if not self._zones:
            raise Absent(f"no CPU package under {root}")
        self._before: list[int] = []
        self._counters()

    def _counters(self) -> list[int]:
        try:
            return [int((zone / "energy_uj").read_text()) for zone in self._zones]
        except OSError as error:
            raise Absent(f"{self._zones[0] / 'energy_uj'}: {error.strerror}; it is readable by root") from error

    def begin(self) -> None:
        self._before = self._counters()

    def end(self, seconds: float) -> dict[str, Any]:
        limits = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        joules = sum(map(rapl_joules, self._before, self._counters(), limits))
        return {"covers": "CPU packages", "joules": round(joules, 4), "watts": round(joules / seconds, 2)}

    def close(self) -> None:
        pass


def _is_package(zone: Path) -> bool:
    try:
        return (zone / "name").read_text().startswith("package")
    except OSError:
        return False


def rapl_joules(before: int, after: int, limit: int) -> float:
    """Joules between two readings of a counter in microjoules that starts anew after ``limit``."""
    return (after - before if after >= before else after + limit - before) / 1e6
