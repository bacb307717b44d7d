"""The JSON record: its schema, checked on writing and on reading. The fields are explained in docs/bench.md."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from iic_rt.errors import InputError
from iic_rt.files import write_bytes

__all__ = ["SCHEMA", "TOOL", "failures", "name", "problems", "read_record", "timed", "write_record"]

SCHEMA = 1
TOOL = "iic_rt.bench"

# A dict has exactly these keys, a list any number of the one, a tuple is a choice; `Free` is a dict with any keys.
Free = object()
NUMBER = float
ABSENT = {"absent": str}
TIMES = {"p50": NUMBER, "p90": NUMBER, "p99": NUMBER, "mean": NUMBER, "n": int}
ASKED = {
    "backend": str,
    "precision": (str, None),
    "width": int,
    "height": int,
    "hole_percent": NUMBER,
    "iterations": int,
    "batch": int,
    "mode": str,
    "workers": int,
    "repeats": int,
    "warmup": int,
    "threads": (int, None),
    "working_size": (int, None),
    "bundle": str,
}
STAGES = dict.fromkeys(("copy_in", "prepare", "upsample", "composite", "copy_out", "rest"), TIMES)
TIMED = {
    "backend": str,
    "precision": str,
    "working_size": int,
    "check": {"psnr_db": NUMBER, "difference": NUMBER, "confidence": NUMBER},
    "iterations": int,
    "regions": int,
    "open_ms": NUMBER,
    "first_ms": NUMBER,
    "end_to_end_ms": TIMES,
    "stages_ms": STAGES | {"iterations": [TIMES]},
    "samples_ms": [NUMBER],
}
SENSORS = {
    "nvml": (
        ABSENT,
        {
            "covers": str,
            "joules": (NUMBER, ABSENT),
            "joules_per_picture": (NUMBER, ABSENT),
            "watts": (NUMBER, ABSENT),
            "memory_growth_mib": (int, ABSENT),
            "sm_clock_mhz": ({"least": int, "most": int}, ABSENT),
            "temperature_c": (int, ABSENT),
        },
    ),
    "tegrastats": (
        ABSENT,
        {
            "covers": str,
            "joules": (NUMBER, ABSENT),
            "joules_per_picture": (NUMBER, ABSENT),
            "watts": (NUMBER, ABSENT),
            "memory_growth_mib": (int, ABSENT),
            "rails_w": Free,
            "temperatures_c": Free,
        },
    ),
    "rapl": (ABSENT, {"covers": str, "joules": NUMBER, "joules_per_picture": NUMBER, "watts": NUMBER}),
}
CASE = TIMED | {
    "asked": ASKED,
    "warnings": [str],
    "threads": (int, None),
    "pictures": int,
    "pictures_per_s": NUMBER,
    "host_peak_mib": int,
    "sensors": SENSORS,
}
PAIR = {
    "asked": [ASKED],
    "warnings": [str],
    "ratio": {"p10": NUMBER, "p50": NUMBER, "p90": NUMBER, "rounds": int},
    "contenders": [TIMED],
}
RECORD = {
    "schema": int,
    "tool": str,
    "made": str,
    "command": str,
    "iic_rt": str,
    "commit": str,
    "bundle": {"name": str, "precision": str, "sha256": str, "weights_sha256": Free},
    "device": str,
    "python": str,
    "numpy": str,
    "opencv": str,
    "machine": {
        "system": str,
        "backends": Free,
        "usable_threads": int,
        "load_average": ([NUMBER], ABSENT),
        "governor": (str, ABSENT),
        "board": (str, ABSENT),
        "power_mode": ({"name": str, "id": int}, ABSENT),
        "gpu": (
            {
                "name": (str, ABSENT),
                "driver": (str, ABSENT),
                "cuda_driver": (int, ABSENT),
                "sm_clock_most_mhz": (int, ABSENT),
                "power_limit_w": (NUMBER, ABSENT),
            },
            ABSENT,
        ),
    },
    "cases": [(CASE, {"asked": ASKED, "failed": str})],
    "comparisons": [(PAIR, {"asked": [ASKED], "failed": str})],
}


def problems(value: Any, shape: Any = RECORD, place: str = "record") -> list[str]:
    """Where ``value`` differs from the schema; empty when it does not."""
    if shape is Free:
        return [] if isinstance(value, dict) else [f"{place} is no object"]
    if isinstance(shape, tuple):
        tried = [problems(value, choice, place) for choice in shape]
        return min(tried, key=len)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{place} is no object"]
        found = [f"{place} has no {key!r}" for key in shape if key not in value]
        found += [f"{place} has an unknown {key!r}" for key in value if key not in shape]
        return found + [p for key in shape if key in value for p in problems(value[key], shape[key], f"{place}.{key}")]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [p for i, item in enumerate(value) for p in problems(item, shape[0], f"{place}[{i}]")]
    if shape is None:
        return [] if value is None else [f"{place} is not null"]
    right = isinstance(value, (int, float) if shape is float else shape) and not isinstance(value, bool)
    if right and isinstance(value, float) and not math.isfinite(value):
        right = False
    return [] if right else [f"{place} is {value!r}, no {shape.__name__}"]


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Writes a result as JSON, atomically.

    Raises:
        OutputError: the place cannot be written to.
        ValueError: it holds a number that is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())


def read_record(path: Path) -> dict[str, Any]:
    """A record that this tool wrote.

    Raises:
        InputError: it cannot be read, or is no record of this schema.
    """
    again = "make it again with `python -m iic_rt.bench --json`"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}); {again}") from error
    if not isinstance(record, dict) or record.get("tool") != TOOL:
        raise InputError(f"{path} is no record of `python -m {TOOL}`; {again}")
    if record.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {record.get('schema')!r}, this version reads {SCHEMA}; {again}")
    if found := problems(record):
        raise InputError(f"{path} is damaged: {'; '.join(found[:3])}; {again}")
    return record


def failures(record: dict[str, Any]) -> list[str]:
    """Every case and pair that could not be measured, with the reason."""
    texts = []
    for row in record["cases"] + record["comparisons"]:
        if "failed" in row:
            sides = row["asked"] if isinstance(row["asked"], list) else [row["asked"]]
            names = " against ".join(s["backend"] + (f":{s['precision']}" if s["precision"] else "") for s in sides)
            texts.append(f"{names} {sides[0]['width']}x{sides[0]['height']} {sides[0]['mode']}: {row['failed']}")
    return texts


def name(asked: dict[str, Any], row: dict[str, Any]) -> str:
    """Backend, precision, picture, hole and most iterations of a row."""
    picture = f"{asked['width']}×{asked['height']}, hole {asked['hole_percent']:g} %, T = {asked['iterations']}"
    return f"{row['backend']} {row['precision']}, {picture}" + (
        f", batch {asked['batch']}" if asked["batch"] > 1 else ""
    )


def timed(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Name and times of every latency case and of every side of a pair."""
    measured = [row for row in record["cases"] if "failed" not in row]
    rows = [(name(row["asked"], row), row) for row in measured if row["asked"]["mode"] == "latency"]
    for pair in record["comparisons"]:
        if "failed" not in pair:
            sides = zip(pair["asked"], pair["contenders"], strict=True)
            rows += [(f"{name(asked, row)}, in turn", row) for asked, row in sides]
    return rows
