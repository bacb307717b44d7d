"""Energy, clocks and device memory while a case is timed, from whatever the machine offers."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from iic_rt.bench.jetson import Tegrastats
from iic_rt.bench.nvml import Nvml
from iic_rt.bench.rapl import Rapl
from iic_rt.bench.sensor import Absent, Sensor

__all__ = ["SENSORS", "Meter"]

SENSORS: dict[str, Callable[[], Sensor]] = {"nvml": Nvml, "tegrastats": Tegrastats, "rapl": Rapl}


class Meter:
    """All sensors of this machine, open from before a backend is opened, so that the growth of memory shows."""

    def __init__(self) -> None:
        self._sensors: dict[str, Sensor] = {}
        self._absent: dict[str, str] = {}
        for name, sensor in SENSORS.items():
            try:
                self._sensors[name] = sensor()
            except Absent as reason:
                self._absent[name] = str(reason)

    def begin(self) -> None:
        for sensor in self._sensors.values():
            sensor.begin()

    def end(self, seconds: float, pictures: int) -> dict[str, Any]:
        """Readings of every sensor, or why it is absent."""
        found: dict[str, Any] = {name: {"absent": reason} for name, reason in self._absent.items()}
        for name, sensor in self._sensors.items():
            reading = sensor.end(seconds)
            joules = reading["joules"]
            per_picture = joules if isinstance(joules, dict) else round(joules / pictures, 4)
            found[name] = reading | {"joules_per_picture": per_picture}
        return found

    def close(self) -> None:
        for sensor in self._sensors.values():
            sensor.close()

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
