"""Readings of sensors that this machine lacks, from lines as boards print them and from stand-ins."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

from iic_rt.bench.jetson import Tegrastats, parse_nvpmodel, parse_tegrastats, power_mode
from iic_rt.bench.meter import SENSORS, Meter
from iic_rt.bench.nvml import Nvml, gpu_facts
from iic_rt.bench.rapl import Rapl, rapl_joules
from iic_rt.bench.record import SENSORS as SHAPES
from iic_rt.bench.record import problems
from iic_rt.bench.sensor import Absent, or_absent

ORIN_NANO = (
    "10-24-2024 13:05:22 RAM 2448/7620MB (lfb 4x1MB) SWAP 12/3810MB (cached 0MB) CPU [5%@729,0%@729,2%@729,1%@729,"
    "off,off] EMC_FREQ 0%@2133 GR3D_FREQ 37%@[611] NVDEC off NVJPG off VIC off OFA off APE 200 cpu@46.093C "
    "soc2@45.343C gpu@46.312C cv0@-256C tj@46.312C VDD_IN 4940mW/4821mW VDD_CPU_GPU_CV 1051mW/1010mW VDD_SOC "
    "1487mW/1480mW"
)
ORIN_AGX = (
    "RAM 3425/62800MB (lfb 14x4MB) SWAP 0/31400MB (cached 0MB) CPU [0%@1190,0%@1190] GR3D_FREQ 0%@[0,0] cpu@41.5C "
    "tboard@30C VDD_GPU_SOC 1997mW/1997mW VDD_CPU_CV 399mW/399mW VIN_SYS_5V0 3025mW/3025mW NC 0mW/0mW NC 0mW/0mW"
)


def test_a_line_of_an_orin_nano() -> None:
    assert parse_tegrastats(ORIN_NANO) == {
        "ram_mib": 2448,
        "gpu_percent": 37,
        "temperatures_c": {"cpu": 46.093, "soc2": 45.343, "gpu": 46.312, "tj": 46.312},
        "rails_mw": {"VDD_IN": 4940, "VDD_CPU_GPU_CV": 1051, "VDD_SOC": 1487},
    }


def test_a_line_of_an_orin_agx() -> None:
    found = parse_tegrastats(ORIN_AGX)
    assert found["rails_mw"] == {"VDD_GPU_SOC": 1997, "VDD_CPU_CV": 399, "VIN_SYS_5V0": 3025}
    assert found["gpu_percent"] == 0
    assert "ram_mib" not in parse_tegrastats("something else")


def test_power_modes() -> None:
    assert parse_nvpmodel("NVPM WARN: fan mode is not set!\nNV Power Mode: 15W\n0\n") == {"name": "15W", "id": 0}
    assert parse_nvpmodel("NV Power Mode: MAXN_SUPER\n2\n") == {"name": "MAXN_SUPER", "id": 2}
    with pytest.raises(Absent, match="no mode"):
        parse_nvpmodel("NVPM ERROR: optMask is 1\n")


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_the_tools_of_a_board_are_run(tools: Path) -> None:
    script(tools, "nvpmodel", "printf 'NV Power Mode: 25W\\n1\\n'")
    assert power_mode() == {"name": "25W", "id": 1}
    later = ORIN_NANO.replace("2448/", "2600/").replace("VDD_IN 4940mW", "VDD_IN 6940mW")
    script(tools, "tegrastats", f"echo '{ORIN_NANO}'; while sleep 0.02; do echo '{later}'; done")
    sensor = Tegrastats()
    try:
        time.sleep(0.1)
        sensor.begin()
        time.sleep(0.3)
        found = sensor.end(2.0)
    finally:
        sensor.close()
    assert found["watts"] == 6.94  # of the timed lines only
    assert found["joules"] == 13.88
    assert found["memory_growth_mib"] == 152
    assert problems(found | {"joules_per_picture": 1.0}, SHAPES["tegrastats"]) == []


def test_a_board_without_a_rail_for_all_has_no_joules(tools: Path) -> None:
    script(tools, "tegrastats", f"while true; do echo '{ORIN_AGX}'; sleep 0.02; done")
    sensor = Tegrastats()
    sensor.begin()
    time.sleep(0.3)
    found = sensor.end(1.0)
    sensor.close()
    assert "rails_w" in found["joules"]["absent"]
    assert found["rails_w"]["VIN_SYS_5V0"] == 3.025


def test_a_tool_that_prints_nothing_measures_nothing(tools: Path) -> None:
    script(tools, "tegrastats", "exit 1")
    sensor = Tegrastats()
    sensor.begin()
    found = sensor.end(0.5)
    sensor.close()
    assert "printed nothing" in found["joules"]["absent"]
    assert problems(found | {"joules_per_picture": found["joules"]}, SHAPES["tegrastats"]) == []


def zones(root: Path, micro: int) -> None:
    for name, label, energy in (("intel-rapl:0", "package-0", micro), ("intel-rapl:0:0", "core", 5)):
        (root / name).mkdir(exist_ok=True)
        (root / name / "name").write_text(f"{label}\n")
        (root / name / "energy_uj").write_text(f"{energy}\n")
        (root / name / "max_energy_range_uj").write_text("262143328850\n")


def test_rapl(tmp_path: Path) -> None:
    zones(tmp_path, 1_000_000)
    sensor = Rapl(tmp_path)
    sensor.begin()
    zones(tmp_path, 31_000_000)
    assert sensor.end(2.0) == {"covers": "CPU packages", "joules": 30, "watts": 15}


def test_a_rapl_counter_starts_anew() -> None:
    assert rapl_joules(262_143_000_000, 1_000_000, 262_143_328_850) == pytest.approx(1.32885)


def test_no_rapl(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="no CPU package"):
        Rapl(tmp_path)
    zones(tmp_path, 0)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(Absent, match="energy_uj"):
        Rapl(tmp_path)


pynvml = pytest.importorskip("pynvml")


def library() -> object:
    """A stand-in with the functions of the real one and no others: a Hopper that has used 3 J since begin."""
    fake = create_autospec(pynvml)
    fake.NVMLError = pynvml.NVMLError
    fake.nvmlDeviceGetMemoryInfo.side_effect = [SimpleNamespace(used=mib << 20) for mib in (500, *[1700] * 10_000)]
    fake.nvmlDeviceGetClockInfo.return_value = 1980
    fake.nvmlDeviceGetTotalEnergyConsumption.side_effect = [10_000, 13_000]
    fake.nvmlDeviceGetTemperature.return_value = 41
    fake.nvmlDeviceGetEnforcedPowerLimit.return_value = 700_000
    fake.nvmlDeviceGetName.return_value = "NVIDIA H100"
    fake.nvmlSystemGetDriverVersion.return_value = "570.1"
    fake.nvmlSystemGetCudaDriverVersion.return_value = 12080
    fake.nvmlDeviceGetMaxClockInfo.side_effect = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return fake


def test_nvml() -> None:
    sensor = Nvml(library())
    sensor.begin()
    found = sensor.end(1.5)
    sensor.close()
    assert found["joules"] == 3
    assert found["watts"] == 2
    assert found["memory_growth_mib"] == 1200
    assert found["sm_clock_mhz"] == {"least": 1980, "most": 1980}
    assert problems(found | {"joules_per_picture": 1.0}, SHAPES["nvml"]) == []


def test_what_a_gpu_does_not_offer_is_absent() -> None:
    fake = library()
    not_supported = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    for function in ("TotalEnergyConsumption", "MemoryInfo", "ClockInfo"):
        getattr(fake, f"nvmlDeviceGet{function}").side_effect = not_supported
    sensor = Nvml(fake)
    sensor.begin()
    found = sensor.end(1.0)
    sensor.close()
    for field in ("joules", "watts", "memory_growth_mib", "sm_clock_mhz"):
        assert found[field] == {"absent": "NVML: Not Supported"}, field


def test_facts_of_a_gpu() -> None:
    facts = gpu_facts(library())
    assert facts["power_limit_w"] == 700
    assert facts["sm_clock_most_mhz"] == {"absent": "NVML: Not Supported"}


def test_the_first_visible_gpu_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = library()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    gpu_facts(fake)
    fake.nvmlDeviceGetHandleByIndex.assert_called_with(2)  # type: ignore[attr-defined]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1234")
    gpu_facts(fake)
    fake.nvmlDeviceGetHandleByUUID.assert_called_with("GPU-1234")  # type: ignore[attr-defined]


def test_every_sensor_answers_or_says_why_not() -> None:
    with Meter() as meter:
        meter.begin()
        found = meter.end(1.0, 4)
    assert found.keys() == SENSORS.keys()
    for reading in found.values():
        assert reading.get("absent") or "joules_per_picture" in reading
    assert problems(found, SHAPES) == []


def test_absence_has_a_reason() -> None:
    def missing() -> None:
        raise Absent("no such thing")

    assert or_absent(missing) == {"absent": "no such thing"}
    assert or_absent(lambda: 0) == 0
