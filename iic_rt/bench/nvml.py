"""NVIDIA's management library: energy, clocks, temperature and memory of the GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from iic_rt.bench.sensor import Absent, or_absent

__all__ = ["Nvml", "gpu_facts"]

SAMPLE_SECONDS = 0.05


def _module() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise Absent("nvidia-ml-py is not installed; run `pip install 'iic-rt[bench]'`") from error
    return pynvml


def _open(nvml: Any) -> Any:
    """A handle of the GPU in use: the first that ``CUDA_VISIBLE_DEVICES`` names, by number or UUID, else GPU 0."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    try:
        nvml.nvmlInit()
        if first.isdigit():
            return nvml.nvmlDeviceGetHandleByIndex(int(first))
        return nvml.nvmlDeviceGetHandleByUUID(first)
    except nvml.NVMLError as error:
        raise Absent(f"NVML: {error}") from error


def _query(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the library answers.

    Raises:
        Absent: this device does not offer it.
    """
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        raise Absent(f"NVML: {error}") from error


def gpu_facts(nvml: Any = None) -> dict[str, Any]:
    """Name, driver, clocks at most and power limit of the GPU.

    Raises:
        Absent: there is none, or the library is missing.
    """
    nvml = nvml or _module()
    gpu = _open(nvml)

    def ask(function: Callable[..., Any], *arguments: Any) -> Any:
        return or_absent(lambda: _query(nvml, function, *arguments))

    limit = ask(nvml.nvmlDeviceGetEnforcedPowerLimit, gpu)
    facts = {
        "name": ask(nvml.nvmlDeviceGetName, gpu),
        "driver": ask(nvml.nvmlSystemGetDriverVersion),
        "cuda_driver": ask(nvml.nvmlSystemGetCudaDriverVersion),
        "sm_clock_most_mhz": ask(nvml.nvmlDeviceGetMaxClockInfo, gpu, nvml.NVML_CLOCK_SM),
        "power_limit_w": limit if isinstance(limit, dict) else limit / 1e3,
    }
    nvml.nvmlShutdown()
    return facts


class Nvml:
    """Reads the GPU while work is timed; a thread looks at memory and clocks every 50 ms."""

    def __init__(self, nvml: Any = None) -> None:
        self._nvml = nvml or _module()
        self._gpu = _open(self._nvml)
        self._memory_before = or_absent(self._used)
        self._memory_peak: int | None = None
        self._clocks: list[int] = []
        self._energy: Any = None
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return _query(self._nvml, function, self._gpu, *arguments)

    def _used(self) -> int:
        return int(self._ask(self._nvml.nvmlDeviceGetMemoryInfo).used)

    def _clock(self) -> int:
        return int(self._ask(self._nvml.nvmlDeviceGetClockInfo, self._nvml.NVML_CLOCK_SM))

    def _counter(self) -> float:
        return float(self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption)) / 1e3

    def _look(self) -> None:
        used, clock = or_absent(self._used), or_absent(self._clock)
        if isinstance(used, int):
            self._memory_peak = max(self._memory_peak or 0, used)
        if isinstance(clock, int):
            self._clocks.append(clock)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._look()

    def begin(self) -> None:
        self._clocks.clear()
        self._energy = or_absent(self._counter)

    def end(self, seconds: float) -> dict[str, Any]:
        self._look()
        joules = or_absent(self._counter)
        if not isinstance(joules, dict):
            joules = self._energy if isinstance(self._energy, dict) else round(joules - self._energy, 3)
        growth: Any = self._memory_before
        if isinstance(growth, int) and self._memory_peak is not None:
            growth = (self._memory_peak - growth) >> 20
        clocks = {"least": min(self._clocks), "most": max(self._clocks)} if self._clocks else or_absent(self._clock)
        celsius = self._nvml.NVML_TEMPERATURE_GPU
        return {
            "covers": "GPU",
            "joules": joules,
            "watts": joules if isinstance(joules, dict) else round(joules / seconds, 2),
            "memory_growth_mib": growth,
            "sm_clock_mhz": clocks,
            "temperature_c": or_absent(lambda: self._ask(self._nvml.nvmlDeviceGetTemperature, celsius)),
        }

    def close(self) -> None:
        self._stop.set()
        self._sampler.join()
        self._nvml.nvmlShutdown()
