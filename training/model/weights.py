"""Weights on disk: safetensors in FP16, with the preset and how they were trained in the header."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from iic_rt.files import write_bytes
from training.model.network import PRESETS, Generator
from training.model.upsampler import GuidedUpsampler

__all__ = ["WeightsError", "load_generator", "load_upsampler", "save_generator", "save_upsampler"]

GENERATOR, UPSAMPLER = "iic-rt-generator-2", "iic-rt-upsampler-2"


class WeightsError(Exception):
    """A weights file that is missing, damaged, of another format, or made for another network."""


def save_generator(path: Path, generator: Generator, *, preset: str, training: dict[str, str]) -> None:
    """Writes the weights as FP16 with a header of ``preset`` and free text about the training."""
    _save(path, generator, {"format": GENERATOR, "preset": preset, **training})


def save_upsampler(path: Path, upsampler: GuidedUpsampler, *, training: dict[str, str]) -> None:
    """Writes the weights as FP16 with a header of free text about the training."""
    _save(path, upsampler, {"format": UPSAMPLER, **training})


def load_generator(path: Path) -> tuple[Generator, dict[str, str]]:
    """The generator (FP32, evaluation mode) and the header of a file that :func:`save_generator` wrote.

    Raises:
        WeightsError: the file cannot be used; the message says why.
    """
    tensors, header = _load(path, GENERATOR)
    if header.get("preset") not in PRESETS:
        raise WeightsError(f"{path} is for preset {header.get('preset')!r}; this version has {', '.join(PRESETS)}")
    generator = Generator(PRESETS[header["preset"]])
    _fill(path, generator, tensors, f"preset {header['preset']!r}")
    return generator.eval(), header


def load_upsampler(path: Path) -> tuple[GuidedUpsampler, dict[str, str]]:
    """The upsampler (FP32, evaluation mode) and the header of a file that :func:`save_upsampler` wrote.

    Raises:
        WeightsError: the file cannot be used; the message says why.
    """
    tensors, header = _load(path, UPSAMPLER)
    upsampler = GuidedUpsampler()
    _fill(path, upsampler, tensors, "the upsampling network")
    return upsampler.eval(), header


def _save(path: Path, network: nn.Module, header: dict[str, str]) -> None:
    tensors = {name: value.detach().half().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes(path, save(tensors, metadata=header))


def _load(path: Path, expected: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error
    if header.get("format") != expected:
        raise WeightsError(
            f"{path} has format {header.get('format')!r}, expected {expected!r}; "
            "write it with `python -m training.release` from the folder of a run"
        )
    return tensors, header


def _fill(path: Path, network: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit {name}: {error}") from error
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise WeightsError(f"{path} holds NaN or infinite weights; train again or take another checkpoint")
