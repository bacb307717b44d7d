"""The tables of docs/paper.md: each number of ours with the paper's in brackets, where the paper has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.paper_cases import HOLES

__all__ = ["PAPER_TABLES"]

# L1, PSNR, SSIM of Table 1 for object-shaped, irregular and square holes; PyPatchMatch is an implementation of [9].
TABLE_1 = {
    "PyPatchMatch": ((0.0273, 25.64, 0.8780), (0.0288, 22.87, 0.8549), (0.0432, 19.19, 0.7922)),
    "Global&Local-like": ((0.0292, 24.23, 0.8653), (0.0385, 20.95, 0.8185), (0.0386, 20.16, 0.7950)),
    "GConv-like": ((0.0243, 26.07, 0.8803), (0.0245, 24.31, 0.8718), (0.0430, 19.08, 0.7984)),
    "Ours*": ((0.0194, 28.20, 0.8985), (0.0203, 25.43, 0.8828), (0.0361, 20.21, 0.8130)),
    "Ours": ((0.0205, 27.67, 0.8949), (0.0220, 24.70, 0.8744), (0.0384, 19.69, 0.8063)),
}
# L1, PSNR, SSIM of Table 2, and its seconds at 512x512.
TABLE_2 = {
    "one pass": (0.0205, 27.79, 0.8903, 0.064),
    "IT": (0.0204, 27.57, 0.8925, 0.301),
    "IT, CF": (0.0200, 28.06, 0.8952, 0.323),
    "IT, CF, RT": (0.0194, 28.20, 0.8985, 0.323),
    "IT, CF, RT, GU": (0.0205, 27.67, 0.8949, 0.182),
}
Rows = dict[str, dict[str, float]]


def holes_table(record: dict[str, Any]) -> str:
    lines = [
        "| holes | method | L1 | PSNR (dB) | SSIM | hole PSNR (dB) | perceptual distance | sharpness |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, place in zip(HOLES, range(3), strict=True):
        for name, row in record["holes"][kind].items():
            paper = TABLE_1.get(name)
            lines.append(f"| {kind} | {name} | {_three(row, paper[place] if paper else None)} | {_hole(row)} |")
    return "\n".join(lines)


def parts_table(record: dict[str, Any]) -> str:
    """The parts that are trained."""
    lines = [
        "| | L1 | PSNR (dB) | SSIM | hole PSNR (dB) | perceptual distance | sharpness |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {n} | {_three(row, TABLE_2[n][:3])} | {_hole(row)} |" for n, row in record["parts"].items()]
    return "\n".join(lines)


def upsampling_table(record: dict[str, Any]) -> str:
    """What runs, with times relative to one pass, and the two rows about confidence."""
    lines = [
        "| | L1 | PSNR (dB) | SSIM | hole PSNR (dB) | perceptual distance | sharpness | relative time | user control |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    rows: Rows = record["upsampling"]
    for name, row in rows.items():
        paper = TABLE_2[name]
        time = row["seconds"] / rows["one pass"]["seconds"]
        relative = f"{time:.1f} ({paper[3] / TABLE_2['one pass'][3]:.1f})"
        user = "yes" if name.endswith("GU") else "no"
        lines.append(f"| {name} | {_three(row, paper[:3])} | {_hole(row)} | {relative} | {user} |")
    sure = record["confidence"]
    share = f"{100 * sure['share_sure_t1']:.0f} % of the hole"
    lines += [
        "",
        f"Hole PSNR where the confidence of one iteration is above 0.5 ({share}): "
        f"{sure['psnr_sure_t1']:.2f} dB (36.38), "
        f"elsewhere {sure['psnr_unsure_t1']:.2f} dB (30.00).",
    ]
    return "\n".join(lines)


def sizes_table(record: dict[str, Any]) -> str:
    """Fig. 9: PSNR of the image and SSIM by the share of the image that is hole."""
    shares = list(record["sizes"])
    lines = [
        "| method | " + " | ".join(f"{100 * float(share):.3g} %" for share in shares) + " |",
        "|---" * (len(shares) + 1) + "|",
    ]
    for name in record["sizes"][shares[0]]:
        rows = [record["sizes"][share][name] for share in shares]
        lines.append(f"| {name} | " + " | ".join(f"{r['psnr']:.2f}, {r['ssim']:.3f}" for r in rows) + " |")
    return "\n".join(lines)


def lambdas_table(record: dict[str, Any]) -> str:
    return _by_setting("lambda", record["lambdas"])


def iterations_table(record: dict[str, Any]) -> str:
    return _by_setting("iterations", record["iterations"])


def _by_setting(setting: str, rows: Rows) -> str:
    lines = [
        f"| {setting} | L1 | PSNR (dB) | SSIM | hole PSNR (dB) | perceptual distance | sharpness |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {name} | {_three(row, None)} | {_hole(row)} |" for name, row in rows.items()]
    return "\n".join(lines)


def _three(row: dict[str, float], paper: tuple[float, ...] | None) -> str:
    """L1, PSNR and SSIM, with the paper's in brackets."""
    ours = f"{row['l1']:.4f}", f"{row['psnr']:.2f}", f"{row['ssim']:.4f}"
    if paper is None:
        return " | ".join(ours)
    theirs = f"{paper[0]:.4f}", f"{paper[1]:.2f}", f"{paper[2]:.4f}"
    return " | ".join(f"{a} ({b})" for a, b in zip(ours, theirs, strict=True))


def _hole(row: dict[str, float]) -> str:
    return f"{row['hole_psnr']:.2f} | {row['distance']:.3f} | {row['sharpness']:.2f}"


PAPER_TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "holes": holes_table,
    "sizes": sizes_table,
    "parts": parts_table,
    "upsampling": upsampling_table,
    "lambdas": lambdas_table,
    "iterations": iterations_table,
}
