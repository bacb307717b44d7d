"""Writes a bundle: graphs, model card, parity report and the manifest that hashes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx

from export.accuracy import Picture, check_accuracy
from export.folders import replacing_folder
from export.graphs import build_step, tensor_specs
from export.parity import check_parity
from export.patch_graphs import build_refine
from export.pixel_graphs import build_composite, build_prepare, build_seam
from export.upsample_graphs import build_upsample_graphs, search_options
from export.upsample_parity import check_upsample_parity
from iic_rt._version import __version__
from iic_rt.bundle.manifest import MANIFEST, SCHEMA, file_sha256, load_bundle
from training.model.network import Generator
from training.model.upsampler import GuidedUpsampler
from training.model.weights import load_generator, load_upsampler

__all__ = ["ParityError", "file_entry", "write_bundle", "write_manifest"]

WORKING_SIZE = 256
SHARED_GRAPHS = {  # the same in every precision
    "prepare": build_prepare,
    "seam": build_seam,
    "composite": build_composite,
    "refine": build_refine,
}


class ParityError(Exception):
    """The graphs do not compute what the network computes, or FP16 not what FP32 does; nothing was written."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__("the graphs differ by more than the tolerance in the report above; nothing was written")
        self.report = report


def write_bundle(
    weights: Path, upsampler_weights: Path, card: Path, out: Path, *, seed: int, pictures: Sequence[Picture]
) -> dict[str, Any]:
    """Exports the weights of generator and upsampler to the bundle ``out`` and returns the parity report.

    The bundle appears whole or not at all: it is written and loaded under another name first.

    Args:
        weights: of the generator.
        upsampler_weights: of the upsampling network.
        card: the model card, copied.
        out: folder of the bundle; replaced as a whole.
        seed: of the random inputs of the parity report.
        pictures: of ``export.accuracy.load_pictures``, which FP16 and FP32 must fill alike.

    Raises:
        WeightsError: the weights cannot be used.
        ParityError: ONNX Runtime or the reference disagrees with torch, or FP16 with FP32.
    """
    generator, header = load_generator(weights)
    upsampler, _ = load_upsampler(upsampler_weights)
    with replacing_folder(out) as folder:
        precisions = {
            precision: {name: _save(build(), folder / f"{name}.onnx") for name, build in SHARED_GRAPHS.items()}
            | {
                name: _save(model, folder / f"{name}{suffix}.onnx")
                for name, model in build_graphs(generator, upsampler, precision).items()
            }
            for precision, suffix in {"fp32": "", "fp16": ".fp16"}.items()
        }
        shutil.copyfile(card, folder / "card.md")
        manifest = {
            "schema": SCHEMA,
            "name": out.name,
            "preset": header["preset"],
            "working_size": WORKING_SIZE,
            "search": asdict(search_options(upsampler)),
            "exported_by": f"iic-rt {__version__}",
            "weights_sha256": {"generator": file_sha256(weights), "upsampler": file_sha256(upsampler_weights)},
            "precisions": precisions,
            "card": file_entry(folder / "card.md"),
        }
        report = check_parity(generator, folder, seed=seed)
        report["upsample"] = check_upsample_parity(upsampler, folder, seed=seed)
        write_manifest(folder, manifest)
        report["accuracy"] = check_accuracy(folder, pictures)
        report["passed"] = all(part["passed"] for part in (report, report["upsample"], report["accuracy"]))
        if not report["passed"]:
            raise ParityError(report)
        (folder / "parity.json").write_text(json.dumps(report, indent=1) + "\n")
        write_manifest(folder, manifest | {"parity": file_entry(folder / "parity.json")})
        load_bundle(folder)
    return report


def build_graphs(generator: Generator, upsampler: GuidedUpsampler, precision: str) -> dict[str, onnx.ModelProto]:
    return {"step": build_step(generator, precision), **build_upsample_graphs(upsampler, precision)}


def _save(model: onnx.ModelProto, path: Path) -> dict[str, Any]:
    """Writes a graph and returns its entry in the manifest."""
    onnx.save(model, path)
    return file_entry(path) | {"inputs": tensor_specs(model.graph.input), "outputs": tensor_specs(model.graph.output)}


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the manifest of a bundle that nobody reads yet."""
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def file_entry(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": file_sha256(path)}
