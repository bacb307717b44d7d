"""The table of a folder's ways, from a record of ``benchmarks.folder``."""

from __future__ import annotations

from typing import Any

__all__ = ["folder_table"]


def folder_table(record: dict[str, Any]) -> str:
    """How many images a second each way fills, and how long it takes to start."""
    width, height = record["size"]
    workers = record["workers"]
    names = {
        "1 auto": "`iic-rt remove`",
        f"{workers} auto": f"`iic-rt remove --workers {workers}`",
        "1 onnxruntime": "`iic-rt remove --backend onnxruntime`",
        f"{workers} onnxruntime": f"`iic-rt remove --backend onnxruntime --workers {workers}`",
        "ray": f"Ray Data, {workers} actors (`onnxruntime`)",
        "triton": f"Triton, {workers} instances, gRPC (`onnxruntime`)",
    }
    lines = ["| | images a second | of one worker | seconds to start |", "|---|---|---|---|"]
    for name, rate in record["images_a_second"].items():
        share = "" if name.startswith("1 ") else f"{record['of_one_worker'][name]:.2f} ×"
        start = record["start_seconds"][name]
        if name == "triton":
            start += record["triton_server_start_seconds"]
        lines.append(f"| {names[name]} | {rate:.2f} | {share} | {start:.1f} |")
    lines += [
        "",
        f"{record['images']} images of {width}×{height} as JPEG files, read, filled and written; medians of rounds in "
        f"turn, without the start. As many threads in all as cores. {record['device']}.",
    ]
    return "\n".join(lines)
