"""The tables of docs/video-quality.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["video_clips_table", "video_table"]

PER_FRAME, MEMORY = "iic-rt, every frame on its own", "iic-rt"
ONCE = f"{PER_FRAME}, one iteration"
GROUPS = {
    "standing camera, thing in one place": lambda name: name == "still",
    "standing camera, passer-by": lambda name: name.startswith("passer-by"),
    "panning camera": lambda name: name.startswith("pan"),
    "DAVIS": lambda name: name.split(",")[0] in ("camel", "car-shadow", "dog", "kite-surf"),
}


def video_table(record: dict[str, Any]) -> str:
    """One row for every method and kind of clip: means over the clips."""
    lines = [
        "| clips | method | hole PSNR (dB) | flicker | warping error | known | relative time of a frame |",
        "|---|---|---|---|---|---|---|",
    ]
    for group, holds in GROUPS.items():
        clips = [rows for name, rows in record["clips"].items() if holds(name)]
        if not clips:
            continue
        for name in clips[0]:
            rows, alone = ([clip[method] for clip in clips] for method in (name, PER_FRAME))
            mean = _means(rows)
            time = np.mean([row["mean_ms"] / own["mean_ms"] for row, own in zip(rows, alone, strict=True)])
            mark = "**" if name == MEMORY else ""
            known = f"{100 * mean('known'):.0f} %" if name.startswith("iic-rt") else ""
            lines.append(
                f"| {group} | {mark}{name}{mark} | {mean('psnr'):.2f} | {mean('flicker'):.2f} "
                f"| {mean('warp_error'):.2f} | {known} | {time:.2f} |"
            )
            group = ""
    still = record["clips"]["still"]
    moved = record["mask_moved_by_a_pixel"]
    fps = {name: 1e3 / still[name]["p50_ms"] for name in (PER_FRAME, ONCE, MEMORY)}
    lines += [
        "",
        f"{record['frames']} frames of every clip, `{record['backend']}` in {record['precision']}, {record['device']}. "
        f"A frame at 640×480 whose hole of 5 % is known takes {still[MEMORY]['p50_ms']:.0f} ms "
        f"({fps[MEMORY]:.0f} a second), one that is filled {still[PER_FRAME]['p50_ms']:.0f} ms "
        f"({fps[PER_FRAME]:.1f} a second), with one iteration {still[ONCE]['p50_ms']:.0f} ms "
        f"({fps[ONCE]:.1f} a second).",
        "When the mask of a still moves by a pixel, the filling changes by "
        + ", ".join(f"{value:.2f} grey levels ({name})" for name, value in moved.items())
        + ".",
        *(f"{name}: {reason}." for name, reason in record["left_out"].items()),
    ]
    return "\n".join(lines)


def video_clips_table(record: dict[str, Any]) -> str:
    """Every clip, with the memory against every frame on its own."""
    lines = [
        "| clip | hole PSNR (dB), alone | with memory | warping error, alone | with | flicker, alone | with |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in record["clips"].items():
        cells = [
            f"{rows[method][key]:.2f}" for key in ("psnr", "warp_error", "flicker") for method in (PER_FRAME, MEMORY)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _means(rows: list[dict[str, float]]) -> Callable[[str], float]:
    return lambda key: float(np.mean([row[key] for row in rows]))
