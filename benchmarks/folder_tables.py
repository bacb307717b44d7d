"""The table of a folder's ways, from a record of ``benchmarks.folder``."""

from __future__ import annotations

from typing import Any

__all__ = ["folder_table"]


def folder_table(record: dict[str, Any]) -> str:
    """How many images a second each way fills, and how long it takes to start."""
    width, height = record["size"]
    workers = record["workers"]
    names = {
        "one": "`iic-rt remove`",
        "workers": f"`iic-rt remove --workers {workers}`",
        "ray": f"`examples/ray_folder.py`, {workers} actors",
        "triton": f"Triton, {workers} instances, gRPC",
    }
    lines = ["| | images a second | of one worker | seconds to the first |", "|---|---|---|---|"]
    for name, rate in record["images_a_second"].items():
        share = "" if name == "one" else f"{record['of_one_worker'][name]:.2f} ×"
        start = record["first_seconds"][name]
        if name == "triton":
            start += record["triton_server_start_seconds"]
        lines.append(f"| {names[name]} | {rate:.2f} | {share} | {start:.1f} |")
    lines += [
        "",
        f"{record['images']} images of {width}×{height} as JPEG files, read, filled and written; medians of "
        f"{len(record['runs']['one'])} rounds in turn, from the first image on. `{record['backend']}` in "
        f"{record['precision']}, as many threads in all as cores. {record['device']}.",
    ]
    if record["load_average"] > record["workers"]:
        lines[-1] += f" Other programs ran meanwhile (load average {record['load_average']:.1f}): measure again."
    return "\n".join(lines)
