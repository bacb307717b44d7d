"""Draws the tables of the README and the model card from recorded results: ``python -m benchmarks.tables``.

``--check`` writes nothing and fails when a table differs from what was measured.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from iic_rt.bundle import DEFAULT_BUNDLE, load_bundle

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "x86-2-cores"
DOCUMENTS = (ROOT / "README.md", ROOT / "training" / "weights" / "edge.md")
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
    one, four = (record["methods"][name] for name in ("iic-rt, T = 1", OURS))
    c = record["confidence"]
    lines += [
        "",
        f"{record['pictures']} pictures. Pixels the network is sure of (confidence above 0.5, "
        f"{100 * c['share_sure_t1']:.0f} % of the hole after one iteration) have {c['psnr_sure_t1']:.1f} dB, the rest "
        f"{c['psnr_unsure_t1']:.1f} dB.",
        f"T = 4 against T = 1: {four['psnr'] - one['psnr']:+.3f} dB, L1 {four['l1'] - one['l1']:+.4f}, "
        f"SSIM {four['ssim'] - one['ssim']:+.4f}.",
    ]
    return "\n".join(lines)


def speed_table() -> str:
    record = read("overhead")
    names = {
        "iic_rt": "iic-rt, whole call",
        "sessions": "its ONNX Runtime sessions alone",
        "torch_eager": "the same call with the loop in torch eager",
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


def training_table() -> str:
    facts = json.loads((ROOT / "training" / "weights" / "edge.json").read_text())
    config, scores = facts["config"], facts["validation"][str(facts["confidence_offset"])]
    stages = ", ".join(f"{s['size']}² (batch {s['batch']}) to {100 * s['until']:.0f} %" for s in config["stages"])
    rows = {
        "parameters": f"{facts['parameters'] / 1e6:.2f} M, FP16",
        "cost of one iteration at 256×256": f"{facts['gmac_per_step_256']:.2f} GMAC",
        "steps": f"{facts['steps']}, of up to {config['iterations']} iterations each",
        "training time": f"{facts['minutes'] / 60:.1f} hours on {facts['device']}",
        "crops": stages,
        "adversarial weight": f"{config['adversarial_weight']:g}",
        "λ of Eq. 3, offset of the confidence": f"{config['lambda_']:g}, {facts['confidence_offset']:+g} in the logit",
        "validation, hole PSNR at T = 1 / T = 4": f"{scores['psnr_t1']:.2f} / {scores['psnr_t4']:.2f} dB",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


TABLES = {"quality": quality_table, "speed": speed_table, "training": training_table}


def with_tables(text: str) -> str:
    """``text`` with the part between the two markers of each table drawn anew."""
    names = re.findall(r"<!-- table: (\w+) -->", text)
    if not names:
        raise ValueError("the document has no marker such as <!-- table: quality -->")
    for name in names:
        opening, closing = f"<!-- table: {name} -->\n", f"<!-- end of table: {name} -->"
        before, rest = text.split(opening, 1)
        _, after = rest.split(closing, 1)
        text = before + opening + TABLES[name]() + "\n" + closing + after
    return text


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--document", type=Path, action="append", help="instead of the README and the model card")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a table differs")
    options = parser.parse_args(argv)
    if old := stale():
        print(f"measured with other weights: {', '.join(old)}; run benchmarks.evaluate and overhead", file=sys.stderr)
        return 1
    differing = 0
    for document in options.document or DOCUMENTS:
        text = document.read_text()
        drawn = with_tables(text)
        if options.check and drawn != text:
            print(f"{document} differs from the recorded results; run python -m benchmarks.tables", file=sys.stderr)
            differing = 1
        elif not options.check:
            document.write_text(drawn)
    return differing


if __name__ == "__main__":
    sys.exit(main())
