"""Draws the README's tables from the recorded results: ``python -m benchmarks.tables`` (``--check`` only compares)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from iic_rt.bundle import DEFAULT_BUNDLE, load_bundle

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "x86-2-cores"
OURS = "iic-rt, T = 4"


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def stale() -> list[str]:
    """The results that were measured with other weights than those that ship."""
    shipped = load_bundle(DEFAULT_BUNDLE).weights_sha256
    return [name for name in ("eval-public", "overhead") if read(name)["bundle"]["weights_sha256"] != shipped]


def quality_table() -> str:
    record = read("eval-public")
    lines = ["| method | hole PSNR (dB) | L1 | SSIM in the hole |", "|---|---|---|---|"]
    for name, row in record["methods"].items():
        mark = "**" if name == OURS else ""
        lines.append(f"| {mark}{name}{mark} | {mark}{row['psnr']:.2f}{mark} | {row['l1']:.4f} | {row['ssim']:.3f} |")
    c = record["confidence"]
    lines += [
        "",
        f"{record['pictures']} pictures. Pixels the network is sure of (confidence above 0.5, "
        f"{100 * c['share_sure_t1']:.0f} % of the hole after one iteration) have {c['psnr_sure_t1']:.1f} dB, the rest "
        f"{c['psnr_unsure_t1']:.1f} dB.",
    ]
    return "\n".join(lines)


def speed_table() -> str:
    record = read("overhead")
    names = {
        "iic_rt": "iic-rt, whole call",
        "sessions": "its ONNX Runtime sessions alone",
        "torch_eager": "the same loop in torch eager",
    }
    lines = ["| 512×512, one object | p50 (ms) | p90 | p99 | iic-rt takes (median of pairs) |", "|---|---|---|---|---|"]
    for name, row in record["ms"].items():
        ratio = record["ratios"].get(f"iic_rt / {name}")
        share = f"{ratio['p50']:.2f} ×" if ratio else ""
        lines.append(f"| {names[name]} | {row['p50']:.1f} | {row['p90']:.1f} | {row['p99']:.1f} | {share} |")
    seconds = record["import_seconds"]
    lines += [
        "",
        f"T = {record['iterations']}, {record['threads']} threads, {record['device']}, "
        f"onnxruntime {record['onnxruntime']}. `import iic_rt` adds "
        f"{seconds['with_iic_rt'] - seconds['base']:.2f} s to `import numpy, onnxruntime`.",
    ]
    return "\n".join(lines)


TABLES = {"quality": quality_table, "speed": speed_table}


def with_tables(text: str) -> str:
    """``text`` with the part between each table's two markers drawn anew."""
    for name, draw in TABLES.items():
        opening, closing = f"<!-- table: {name} -->\n", f"<!-- end of table: {name} -->"
        if opening not in text or closing not in text:
            raise ValueError(f"the README has no marker for table {name!r}: {opening.strip()}")
        before, rest = text.split(opening, 1)
        _, after = rest.split(closing, 1)
        text = before + opening + draw() + "\n" + closing + after
    return text


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a table differs")
    options = parser.parse_args(argv)
    if old := stale():
        print(f"measured with other weights: {', '.join(old)}; run benchmarks.evaluate and overhead", file=sys.stderr)
        return 1
    text = options.readme.read_text()
    drawn = with_tables(text)
    if options.check:
        if drawn != text:
            print(
                f"{options.readme} differs from the recorded results; run python -m benchmarks.tables", file=sys.stderr
            )
        return int(drawn != text)
    options.readme.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
