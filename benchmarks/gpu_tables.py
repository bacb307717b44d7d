"""Tables of what ``python -m benchmarks.gpu`` measured, for every device that has results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["gpu_table"]

NOTHING = "*No GPU has been measured yet.*"
SHOWN_HOLES = 0.15  # share of hole patches of the replacements in the table; the record has all


def gpu_table(results: Path) -> str:
    """Calls beside their peers, and the kernels beside their roofline, for each folder of ``results`` that has them."""
    parts = []
    for folder in sorted(path.parent for path in results.glob("*/gpu.json")):
        record = json.loads((folder / "gpu.json").read_text())
        if record["rehearsal"]:
            continue
        failed = [f"{name} ({part['state']})" for name, part in record["parts"].items() if part["state"] != "passed"]
        parts.append(f"**{folder.name}**" + (f": did not pass: {', '.join(failed)}." if failed else ""))
        parts += [
            draw(json.loads(path.read_text())) for name, draw in DRAWN.items() if (path := folder / name).exists()
        ]
    return "\n\n".join(parts) or NOTHING


def _peers(record: dict[str, Any]) -> str:
    ours = next(iter(record["ms"]), None)
    lines = ["| 512×512, one object | p50 (ms) | p90 | p99 | iic-rt takes (median of pairs) |", "|---|---|---|---|---|"]
    for name, row in record["ms"].items():
        ratio = record.get("ratios", {}).get(f"{ours} / {name}")
        share = f"{ratio['p50']:.2f} ×" if ratio else ""
        lines.append(f"| {name} | {row['p50']:.2f} | {row['p90']:.2f} | {row['p99']:.2f} | {share} |")
    lines += [f"| {name} | did not run: {reason} | | | |" for name, reason in record["missing"].items()]
    return "\n".join([*lines, "", f"T = {record['iterations']}, {record['device']}."])


def _kernels(record: dict[str, Any]) -> str:
    lines = [
        "| 64×64 patches | holes | kernel (ms) | of the roofline | torch in a CUDA graph (ms) | torch (ms) |",
        "|---|---|---|---|---|---|",
    ]
    for operator in ("search", "match", "replace"):
        for row in record.get(operator, []):
            if "side" in row and row["holes"] != SHOWN_HOLES:
                continue
            name = f"{operator}, {row['type']}" + (f", {row['side']} pixels" if "side" in row else "")
            kernel, graph, plain = (row[f"{kind}_ms"]["p50"] for kind in ("kernel", "torch_graph", "torch"))
            share = row["roofline_ms"] / kernel
            lines.append(f"| {name} | {row['holes']:.0%} | {kernel:.3f} | {share:.0%} | {graph:.3f} | {plain:.3f} |")
    return "\n".join(lines)


DRAWN = {"peers.json": _peers, "kernels.json": _kernels}
