"""Writes a bundle: graphs, model card, parity report and the manifest that hashes them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import onnx

from export.graphs import build_prepare, build_step, tensor_specs
from export.parity import check_parity
from export.upsample_graphs import build_upsample_graphs
from export.upsample_parity import check_upsample_parity
from iic_rt._version import __version__
from iic_rt.bundle import MANIFEST, SCHEMA, file_sha256, load_bundle
from training.model.weights import load_generator, load_upsampler

__all__ = ["ParityError", "write_bundle"]

WORKING_SIZE = 256


class ParityError(Exception):
    """The graphs do not compute what the network computes; nothing was written."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__("the exported graphs differ from the network by more than the tolerance; nothing was written")
        self.report = report


def write_bundle(weights: Path, upsampler_weights: Path, card: Path, out: Path, *, seed: int) -> dict[str, Any]:
    """Exports the weights of generator and upsampler to the bundle ``out`` and returns the parity report.

    The bundle appears whole or not at all: it is written and loaded under another name first.

    Raises:
        WeightsError: the weights cannot be used.
        ParityError: ONNX Runtime or the reference disagrees with torch.
    """
    generator, header = load_generator(weights)
    upsampler, _ = load_upsampler(upsampler_weights)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        folder.chmod(0o755)
        graphs = {"prepare": build_prepare(), "step": build_step(generator), **build_upsample_graphs(upsampler)}
        for name, model in graphs.items():
            onnx.save(model, folder / f"{name}.onnx")
        report = check_parity(generator, folder, seed=seed)
        report["upsample"] = check_upsample_parity(upsampler, folder, seed=seed)
        report["passed"] = report["passed"] and report["upsample"]["passed"]
        if not report["passed"]:
            raise ParityError(report)
        (folder / "parity.json").write_text(json.dumps(report, indent=1) + "\n")
        shutil.copyfile(card, folder / "card.md")
        manifest = {
            "schema": SCHEMA,
            "name": out.name,
            "preset": header["preset"],
            "working_size": WORKING_SIZE,
            "exported_by": f"iic-rt {__version__}",
            "weights_sha256": {"generator": file_sha256(weights), "upsampler": file_sha256(upsampler_weights)},
            "precisions": {
                "fp32": {
                    name: _entry(folder / f"{name}.onnx")
                    | {"inputs": tensor_specs(model.graph.input), "outputs": tensor_specs(model.graph.output)}
                    for name, model in graphs.items()
                }
            },
            "card": _entry(folder / "card.md"),
            "parity": _entry(folder / "parity.json"),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        load_bundle(folder)
        _replace(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _entry(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": file_sha256(path)}


def _replace(folder: Path, out: Path) -> None:
    """Renames ``folder`` to ``out``; a bundle that was there is moved aside first and goes last."""
    old = out.with_name(f"{folder.name}.old")
    if out.exists():
        os.replace(out, old)
    os.replace(folder, out)
    shutil.rmtree(old, ignore_errors=True)
