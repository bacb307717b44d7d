"""The table of the server, from a record of ``benchmarks.server``."""

from __future__ import annotations

from typing import Any

__all__ = ["server_table"]


def server_table(record: dict[str, Any]) -> str:
    """What a request costs, and what becomes of many."""
    width, height = record["size"]
    load, memory, end = record["load"], record["memory"], record["end"]
    lines = ["| | |", "|---|---|"]
    for kind, name in (("jpg", "JPEG"), ("png", "PNG")):
        ratios = record["one_client"][kind]["ratios"]
        over, files = (100 * (ratios[of]["p50"] - 1) for of in ("direct", "direct_files"))
        lines.append(
            f"| one client, {name}: longer than the direct call on arrays, and than one that decodes and encodes | "
            f"{over:+.0f} %, {files:+.0f} % |"
        )
    lines += [
        f"| {load['clients']} clients: images a second, of those of a loop of direct calls | "
        f"{load['throughput']['direct']:.2f} × |",
        f"| the same, where the loop decodes and encodes too | {load['throughput']['direct_files']:.2f} × |",
        f"| p99 of a request, of {load['clients']} × the time of an image | {load['p99_share_of_queue']:.2f} × |",
        f"| two workers, each on half of the cores: images a second, of those of one | "
        f"{record['two_workers']['throughput']:.2f} × |",
        f"| growth of memory in {memory['minutes']:g} min, {memory['requests']} requests | "
        f"{memory['grown_mib']:.1f} MiB |",
        f"| SIGTERM under load: accepted, answered, received | {end['accepted']}, {end['answered']}, "
        f"{end['answers_received']} |",
    ]
    lines.append("")
    lines.append(
        f"{width}×{height}, a hole of 5 %, `{record['backend']}` in {record['precision']}; medians, in turn with the "
        f"direct call. {record['device']}, which the clients share."
    )
    return "\n".join(lines)
