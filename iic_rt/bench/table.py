"""A record as Markdown tables, which read as well in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from iic_rt.bench.record import failures, name, timed

__all__ = ["bars", "report"]


def report(record: dict[str, Any]) -> str:
    """Cases, stages, comparisons, and everything that failed."""
    parts = []
    rows = [row for row in record["cases"] if "failed" not in row]
    if rows:
        parts.append(_markdown(_CASES, [_case(row) for row in rows]))
    if stages := timed(record):
        parts.append(_markdown(_STAGES, [_stages(title, row) for title, row in stages]))
    parts += [_comparison(pair) for pair in record["comparisons"] if "failed" not in pair]
    if any(row["iterations"] < row["asked"]["iterations"] for row in rows):
        parts.append("Fewer iterations ran than were asked for where another would have changed next to nothing.")
    parts += [f"WARNING {text}" for text in sorted(set(_warnings(record)))]
    parts += [f"FAILED {text}" for text in failures(record)]
    busy = record["machine"]["load_average"]
    load = "" if isinstance(busy, dict) else f", load average {busy[0]:g} at the start"
    versions = f"{_versions(record)}, iic-rt {record['iic_rt']} ({record['commit']})"
    parts.append(f"{record['device']}{load}. {versions}.")
    return "\n\n".join(parts)


def bars(row: dict[str, Any]) -> dict[str, float]:
    """Mean milliseconds of every stage in the order of the work, the last the rest; they add up to the mean."""
    stages = row["stages_ms"]
    found = {"copy in": stages["copy_in"], "prepare": stages["prepare"]}
    found |= {f"iteration {i}": times for i, times in enumerate(stages["iterations"], 1)}
    found |= {"upsample": stages["upsample"], "composite": stages["composite"], "copy out": stages["copy_out"]}
    return {stage: times["mean"] for stage, times in (found | {"rest": stages["rest"]}).items()}


_CASES = (
    "case", "iterations", "mode", "threads", "p50 (ms)", "p90", "p99", "pictures/s", "host peak (MiB)", "device (MiB)",
    "J/picture", "against the reference (dB)",
)  # fmt: skip
_STAGES = ("mean ms", "copy in", "prepare", "iterations", "upsample", "composite", "copy out", "rest", "end to end")


def _case(row: dict[str, Any]) -> tuple[str, ...]:
    asked, times = row["asked"], row["end_to_end_ms"]
    mode = f"{asked['workers']} workers" if asked["mode"] == "throughput" else "latency"
    return (
        name(asked, row),
        str(row["iterations"]),
        mode,
        "default" if row["threads"] is None else f"{row['threads']}" + (" each" if asked["workers"] > 1 else ""),
        *(_ms(times[f"p{q}"]) for q in (50, 90, 99)),
        f"{row['pictures_per_s']:.3g}",
        str(row["host_peak_mib"]),
        _sensors(row, "memory_growth_mib", "{:.0f}"),
        _sensors(row, "joules_per_picture", "{:.3g}"),
        f"{row['check']['psnr_db']:.1f}",
    )


def _sensors(row: dict[str, Any], field: str, form: str) -> str:
    """The values of all sensors that have the field, or a dash."""
    found = [
        f"{form.format(value)} ({reading['covers']})"
        for reading in row["sensors"].values()
        if (value := reading.get(field)) is not None and not isinstance(value, dict)
    ]
    return ", ".join(found) or "–"


def _stages(title: str, row: dict[str, Any]) -> tuple[str, ...]:
    found = bars(row)
    iterations = " + ".join(_ms(ms) for stage, ms in found.items() if stage.startswith("iteration"))
    rest = [_ms(found[stage]) for stage in ("upsample", "composite", "copy out", "rest")]
    end = _ms(row["end_to_end_ms"]["mean"])
    return (title, _ms(found["copy in"]), _ms(found["prepare"]), iterations, *rest, end)


def _comparison(pair: dict[str, Any]) -> str:
    first, second = (f"{row['backend']} {row['precision']}" for row in pair["contenders"])
    asked, found = pair["asked"][0], pair["ratio"]
    return (
        f"{name(asked, pair['contenders'][0]).split(', ', 1)[1]}: {first} takes {found['p50']:.2f} of {second}'s time "
        f"({found['p10']:.2f} .. {found['p90']:.2f}, p10 .. p90 of {found['rounds']} rounds in turn)."
    )


def _warnings(record: dict[str, Any]) -> Iterator[str]:
    for row in record["cases"] + record["comparisons"]:
        yield from row.get("warnings", ())


def _versions(record: dict[str, Any]) -> str:
    return ", ".join(f"{n} {b['version']}" for n, b in record["machine"]["backends"].items() if "version" in b)


def _ms(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines
    )
