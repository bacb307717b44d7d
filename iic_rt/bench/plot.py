"""Stage bars beside latency histograms, drawn from a record."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from iic_rt.bench.record import timed
from iic_rt.bench.table import bars
from iic_rt.errors import InputError, OutputError
from iic_rt.files import write_bytes

__all__ = ["plot", "require_matplotlib"]

ITERATIONS = ("#54278f", "#756bb1", "#9e9ac8", "#bcbddc")
COLOURS = {
    "copy in": "#9ecae1",
    "prepare": "#2171b5",
    "upsample": "#238b45",
    "copy out": "#a1d99b",
    "composite": "#fdae6b",
    "rest": "#bdbdbd",
}
DARK = {"#54278f", "#756bb1", "#2171b5", "#238b45"}  # a number on these is white


def require_matplotlib() -> None:
    """Raises OutputError where matplotlib is missing, before an hour was spent on measuring."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise OutputError(f"matplotlib cannot be imported ({error}); run `pip install 'iic-rt[bench]'`") from error


def plot(record: dict[str, Any], path: Path) -> None:
    """Draws every latency case and both sides of every pair as PNG.

    Raises:
        InputError: the record has none.
        OutputError: matplotlib is missing, or the place cannot be written to.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = timed(record)
    if not rows:
        raise InputError("the record has no latency case that could be measured, so there is nothing to draw")
    figure = Figure(figsize=(11, 1.3 + 1.3 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(rows), 2, width_ratios=(3, 2))
    left = figure.add_subplot(grid[:, 0])
    _draw_bars(left, rows)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(9, len(labels)), fontsize=8, frameon=False)
    for i, (_, row) in enumerate(rows):
        _draw_histogram(figure.add_subplot(grid[i, 1]), row, first=i == 0, last=i + 1 == len(rows))
    figure.suptitle(f"{record['device']}, iic-rt {record['iic_rt']} ({record['commit']})", fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())


def _colour(stage: str) -> str:
    if stage.startswith("iteration"):
        return ITERATIONS[(int(stage.split()[1]) - 1) % len(ITERATIONS)]
    return COLOURS[stage]


def _draw_bars(axes: Any, rows: list[tuple[str, dict[str, Any]]]) -> None:
    widest = max(row["end_to_end_ms"]["mean"] for _, row in rows)
    named: set[str] = set()
    for i, (_, row) in enumerate(rows):
        left = 0.0
        for stage, ms in bars(row).items():
            axes.barh(i, ms, left=left, height=0.55, color=_colour(stage), label=None if stage in named else stage)
            named.add(stage)
            if ms > 0.06 * widest:
                ink = "white" if _colour(stage) in DARK else "black"
                axes.text(left + ms / 2, i, _ms(ms), ha="center", va="center", fontsize=8, color=ink)
            left += ms
        axes.text(left + 0.01 * widest, i, _ms(left), va="center", fontsize=8, weight="bold")
    axes.set_yticks(range(len(rows)), [title.replace(", ", "\n", 1) for title, _ in rows], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("mean milliseconds", fontsize=9)
    axes.set_title("where the time goes", fontsize=10)
    axes.set(xlim=(0, 1.1 * widest), ylim=(len(rows) - 0.5, -0.5))
    axes.spines[["top", "right"]].set_visible(False)


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _draw_histogram(axes: Any, row: dict[str, Any], *, first: bool, last: bool) -> None:
    times = row["end_to_end_ms"]
    axes.hist(row["samples_ms"], bins=min(40, max(8, times["n"] // 2)), color="#807dba")
    for quantile, style in (("p50", "-"), ("p90", "--"), ("p99", ":")):
        axes.axvline(times[quantile], color="black", lw=1, ls=style, label=f"{quantile} {_ms(times[quantile])}")
    axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylabel("calls", fontsize=8)
    if first:
        axes.set_title("end to end", fontsize=10)
    if last:
        axes.set_xlabel("milliseconds", fontsize=9)
