"""Draws the tables of the documents from recorded results: ``python -m benchmarks.tables``.

``--check`` writes nothing and fails when a table differs from what was measured.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.folder_tables import folder_table
from benchmarks.gpu_tables import gpu_table
from benchmarks.paper_tables import PAPER_TABLES
from benchmarks.server_tables import server_table
from benchmarks.video_tables import video_clips_table, video_table
from iic_rt.bench.table import report
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, MANIFEST, SHIPPED, file_sha256, load_bundle

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "x86-2-cores"
CARD = ROOT / "training" / "weights" / "edge.md"
DOCUMENTS = (
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("quality", "paper", "speed", "bench", "gpu", "video-quality", "server", "scale")
    ),
    CARD,
)
OURS = "iic-rt"
# Of the weights that ship. Times do not depend on what the weights are, so records of times alone may be older.
OF_THE_WEIGHTS = (
    "eval-public",
    "eval-public-openvino",
    "eval-512",
    "factors",
    "wires",
    "synthetic",
    "video",
    "paper",
)


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def stale() -> list[str]:
    """The records of quality that were measured with other weights than those that ship."""
    shipped = load_bundle(DEFAULT_BUNDLE).weights_sha256
    return [name for name in OF_THE_WEIGHTS if read(name)["bundle"]["weights_sha256"] != shipped]


def scores(record: dict[str, Any], emphasised: str) -> list[str]:
    """A row for every method of a record of ``benchmarks.evaluate``."""
    lines = [
        "| method | hole PSNR (dB) | perceptual distance | sharpness | L1 | SSIM in the hole | mesh at 4 / 8 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in record["methods"].items():
        mark = "**" if name == emphasised else ""
        lines.append(
            f"| {mark}{name}{mark} | {mark}{row['psnr']:.2f}{mark} | {mark}{row['distance']:.3f}{mark} "
            f"| {mark}{row['sharpness']:.2f}{mark} | {row['l1']:.4f} | {row['ssim']:.3f} "
            f"| {row['mesh_4']:+.2f} / {row['mesh_8']:+.2f} |"
        )
    return lines


def synthetic_table() -> str:
    record = read("synthetic")
    lines = [
        "| method | even: error above the ring's, mean / worst | even: fine detail, mean / worst | lines | textures |",
        "|---|---|---|---|---|",
    ]
    for name, row in record["methods"].items():
        mark = "**" if name == OURS else ""
        lines.append(
            f"| {mark}{name}{mark} | {row['even_above_ring']:.1f} / {row['even_above_ring_worst']:.1f} "
            f"| {row['even_detail']:.2f} / {row['even_detail_worst']:.2f} | {row['lines']:.2f} "
            f"| {row['textures_distance']:.3f} |"
        )
    return "\n".join(lines)


def recipes_table() -> str:
    record = read("recipes")
    lines = [
        "| recipe | pictures seen | hole PSNR, T = 1 | T = 4 (dB) | distance | lines | mesh at 4 / 8 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in record["recipes"].items():
        lines.append(
            f"| {name}, seed {row['seed']} | {row['samples']} | {row['psnr_t1']:.2f} | {row['psnr']:.2f} "
            f"| {row['distance']:.3f} | {row['lines']:.2f} | {row['mesh_4']:+.2f} / {row['mesh_8']:+.2f} |"
        )
    return "\n".join(lines)


def summary_table() -> str:
    """One line a method: the default call, and its time relative to ours where it was measured."""
    methods, times = read("eval-public")["methods"], read("overhead")["ratios"]
    lines = ["| | hole PSNR (dB) | perceptual distance | sharpness | 512×512, relative time |", "|---|---|---|---|---|"]
    for name in ("OpenCV Telea", "OpenCV Navier-Stokes", "PyPatchMatch", f"{OURS}, grow 0", OURS):
        ratio = {"PyPatchMatch": 1 / times["iic_rt / patchmatch"]["p50"], OURS: 1.0}.get(name)
        mark = "**" if name.startswith(OURS) else ""
        relative = "" if ratio is None else f"{mark}{ratio:.2f}{mark}"
        row = methods[name]
        lines.append(
            f"| {mark}{name}{mark} | {mark}{row['psnr']:.2f}{mark} | {mark}{row['distance']:.3f}{mark} "
            f"| {mark}{row['sharpness']:.2f}{mark} | {relative} |"
        )
    return "\n".join(lines)


def against_table() -> str:
    record = read("against")
    other = record["against"]
    lines = [
        f"| | seconds | {other} | relative time | least … most | peak memory | {other} |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in record["cases"].items():
        seconds, peak, ratio = row["seconds"], row["peak_mib"], row["ratio"]
        lines.append(
            f"| {name} | {seconds['this']:.2f} | {seconds[other]:.2f} | {ratio['p50']:.2f} "
            f"| {ratio['least']:.2f} … {ratio['most']:.2f} | {peak['this']} MiB | {peak[other]} MiB |"
        )
    return "\n".join([*lines, "", f"{record['device']}."])


def quality_table() -> str:
    record = read("eval-public")
    one, four = (record["methods"][f"loop alone, T = {t}"] for t in (1, 4))
    c = record["confidence"]
    lines = [
        *scores(record, OURS),
        "",
        f"{record['pictures']} pictures. Pixels the network is sure of (confidence above 0.5, "
        f"{100 * c['share_sure_t1']:.0f} % of the hole after one iteration) have {c['psnr_sure_t1']:.1f} dB, the rest "
        f"{c['psnr_unsure_t1']:.1f} dB.",
        f"T = 4 against T = 1: {four['psnr'] - one['psnr']:+.3f} dB, L1 {four['l1'] - one['l1']:+.4f}, "
        f"SSIM {four['ssim'] - one['ssim']:+.4f}.",
        _other_backend(read("eval-public-openvino")),
    ]
    return "\n".join(lines)


def _other_backend(record: dict[str, Any]) -> str:
    ours, four = (record["methods"][name] for name in (OURS, "loop alone, T = 4"))
    return (
        f"The same on `{record['backend']}` in {record['precision']}: {ours['psnr']:.2f} dB and sharpness "
        f"{ours['sharpness']:.2f}, loop alone {four['psnr']:.2f} dB."
    )


def square_table() -> str:
    record = read("eval-512")
    names = [name for name in record["methods"] if name.startswith("Ours")]
    full, ours = (next(n for n in names if n.startswith(prefix)) for prefix in ("Ours*:", "Ours:"))
    difference = record["methods"][ours]["psnr"] - record["methods"][full]["psnr"]
    lines = [
        *scores(record, ours),
        "",
        f"{record['pictures']} pictures cut to {record['side']}×{record['side']}. Ours against Ours*: "
        f"{difference:+.2f} dB (the paper: -0.53), sharpness {record['methods'][ours]['sharpness']:.2f} against "
        f"{record['methods'][full]['sharpness']:.2f}.",
    ]
    return "\n".join(lines)


def speed_table() -> str:
    record = read("overhead")
    names = {
        "iic_rt": "iic-rt, whole call",
        "sessions": "its ONNX Runtime graphs alone",
        "torch_eager": "the same call in torch eager (dense attention)",
        "patchmatch": "PyPatchMatch 2.2, patch size 3",
    }
    lines = ["| 512×512, one object | p50 (ms) | p90 | p99 | iic-rt takes (median of pairs) |", "|---|---|---|---|---|"]
    for name, row in record["ms"].items():
        ratio = record["ratios"].get(f"iic_rt / {name}")
        share = f"{ratio['p50']:.2f} ×" if ratio else ""
        lines.append(f"| {names[name]} | {row['p50']:.1f} | {row['p90']:.1f} | {row['p99']:.1f} | {share} |")
    seconds = record["import_seconds"]
    lines += [
        "",
        f"A hole of 15 %, T = {record['iterations']}, guided upsampling, {record['threads']} threads, "
        f"{record['device']}, onnxruntime {record['onnxruntime']}. `import iic_rt` adds "
        f"{seconds['with_iic_rt'] - seconds['base']:.2f} s to `import numpy, onnxruntime`.",
    ]
    return "\n".join(lines)


def scaling_table() -> str:
    record = read("scaling")
    lines = [
        "| picture | hole | seconds | of it upsampling | longest graph (all its runs) | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for row in record["squares"] + record["photos"]:
        graph = max(row["graphs"], key=lambda name: row["graphs"][name])
        lines.append(
            f"| {row['width']}×{row['height']}, {row['megapixels']:g} MP | {100 * row['hole']:.0f} % "
            f"| {row['seconds']:.2f} | {row['upsample_seconds']:.2f} | `{graph}` {row['graphs'][graph]:.2f} s "
            f"| {row['peak_mib']} MiB |"
        )
    small, large = record["squares"][0], record["squares"][-1]
    per = [row["seconds"] / row["megapixels"] for row in (small, large)]
    first, last = record["replace"][0], record["replace"][-1]
    lines += [
        "",
        f"Seconds per megapixel: {per[0]:.2f} at {small['megapixels']:g} MP, {per[1]:.2f} at {large['megapixels']:g}. "
        f"Patch replacement at 512×512: {first['p50_ms']:.0f} ms for {100 * first['hole']:.0f} % of the patches, "
        f"{last['p50_ms']:.0f} ms for {100 * last['hole']:.0f} %. {record['device']}.",
    ]
    return "\n".join(lines)


def training_table() -> str:
    facts = json.loads((ROOT / "training" / "weights" / "edge.json").read_text())
    config, v = facts["config"], facts["validation"]
    return two_columns(
        {
            "parameters": f"{facts['parameters'] / 1e6:.2f} M, FP16",
            "cost of one iteration at 256×256": f"{facts['gmac_per_step_256']:.2f} GMAC",
            "images seen": f"{facts['samples']:,}, in {facts['steps']:,} steps",
            "iterations of a step": f"up to {config['iterations']}",
            "adversarial weight": f"{config['adversarial_weight']:g}",
            "λ of Eq. 3": f"{config['lambda_']:g}",
            "validation, hole PSNR at T = 1 / T = 4": f"{v['psnr_t1']:.2f} / {v['psnr_t4']:.2f} dB",
        }
    )


def upsampler_table() -> str:
    facts = json.loads((ROOT / "training" / "weights" / "upsampler.json").read_text())
    config, v = facts["config"], facts["validation"][str(facts["scale"])]
    stage = config["stages"][-1]
    return two_columns(
        {
            "parameters": f"{facts['parameters'] / 1e6:.2f} M, FP16",
            "cost": f"{facts['gmac']:.2f} GMAC",
            "steps": f"{facts['steps']}, batch {stage['batch']}, {stage['size'] // 2}² to {stage['size']}²",
            "training time": f"{facts['minutes']:.0f} minutes on {facts['device']}",
            "weights of L1 in the hole, L1 outside, matching, adversarial": f"{config['hole_weight']:g}, "
            f"{config['known_weight']:g}, {config['match_weight']:g}, {config['adversarial_weight']:g}",
            "scale of the softmax": f"{facts['scale']:g}; tried: {', '.join(facts['validation'])}",
            "validation, hole PSNR (plain enlargement)": f"{v['psnr']:.2f} ({v['psnr_plain']:.2f}) dB",
            "validation, sharpness (plain enlargement)": f"{v['sharpness']:.2f} ({v['sharpness_plain']:.2f})",
        }
    )


def two_columns(rows: dict[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def factors_table() -> str:
    lines = [
        "| factor | pictures | PSNR, bicubic (dB) | PSNR | sharpness, bicubic | sharpness |",
        "|---|---|---|---|---|---|",
    ]
    for row in read("factors")["rows"]:
        lines.append(
            f"| {row['factor']:g} | {row['pictures']} | {row['psnr_bicubic']:.2f} | {row['psnr_upsampled']:.2f} "
            f"| {row['sharpness_bicubic']:.2f} | {row['sharpness_upsampled']:.2f} |"
        )
    return "\n".join(lines)


def wires_table() -> str:
    lines = ["| wires across 12 photographs | hole PSNR (dB) | sharpness |", "|---|---|---|"]
    for name, row in read("wires")["methods"].items():
        lines.append(f"| {name} | {row['psnr']:.2f} | {row['sharpness']:.2f} |")
    return "\n".join(lines)


def bench_table() -> str:
    record = read("bench")
    return f"`{record['command']}`\n\n{report(record)}"


def compare_table() -> str:
    """Whole calls of two backends in turn, from the comparisons of the same record."""
    record = read("bench")
    lines = ["| one object of 15 % | p50 (ms) | p90 | takes (median of rounds) | p10 … p90 |", "|---|---|---|---|---|"]
    for pair in record["comparisons"]:
        ratio = pair["ratio"]
        shares = f"{ratio['p50']:.2f} × | {ratio['p10']:.2f} … {ratio['p90']:.2f}", " | "
        for asked, contender, share in zip(pair["asked"], pair["contenders"], shares, strict=True):
            ms = contender["end_to_end_ms"]
            name = f"{asked['width']}×{asked['height']}, `{contender['backend']}` in {contender['precision']}"
            lines.append(f"| {name} | {ms['p50']:.1f} | {ms['p90']:.1f} | {share} |")
    lines += ["", f"`{record['command']}`, on {record['device']}."]
    return "\n".join(lines)


TABLES = {
    "bench": bench_table,
    "compare": compare_table,
    "gpu": lambda: gpu_table(RESULTS.parent),
    "wires": wires_table,
    "summary": summary_table,
    "against": against_table,
    "factors": factors_table,
    "quality": quality_table,
    "synthetic": synthetic_table,
    "recipes": recipes_table,
    "square": square_table,
    "speed": speed_table,
    "scaling": scaling_table,
    "training": training_table,
    "upsampler": upsampler_table,
    "folder": lambda: folder_table(read("folder")),
    "server": lambda: server_table(read("server")),
    "video": lambda: video_table(read("video")),
    **{f"paper_{name}": lambda draw=draw: draw(read("paper")) for name, draw in PAPER_TABLES.items()},
    "video_clips": lambda: video_clips_table(read("video")),
}


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


def replace_card(folder: Path) -> None:
    """The bundle's copy of the model card follows the tables."""
    manifest = json.loads((folder / MANIFEST).read_text())
    copy = folder / manifest["card"]["file"]
    shutil.copyfile(CARD, copy)
    manifest["card"]["sha256"] = file_sha256(copy)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--document", type=Path, action="append", help="instead of those of the project")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a table differs")
    options = parser.parse_args(argv)
    if old := stale():
        print(f"measured with other weights: {', '.join(old)}; run their commands again (see README)", file=sys.stderr)
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
            if document == CARD:
                replace_card(SHIPPED / DEFAULT_BUNDLE)
    return differing


if __name__ == "__main__":
    sys.exit(main())
