"""Weights on disk: safetensors in FP16, with the preset and how they were trained in the header."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from training.model.network import PRESETS, Generator

__all__ = ["WeightsError", "load_generator", "save_generator"]

FORMAT = "iic-rt-generator-1"


class WeightsError(Exception):
    """A weights file that is missing, damaged, of another format, or made for another network."""


def save_generator(path: Path, generator: Generator, *, preset: str, training: dict[str, str]) -> None:
    """Writes the weights as FP16 with a header of ``preset`` and free text about the training."""
    tensors = {name: value.detach().half().contiguous() for name, value in generator.state_dict().items()}
    save_file(tensors, path, metadata={"format": FORMAT, "preset": preset, **training})


def load_generator(path: Path) -> tuple[Generator, dict[str, str]]:
    """The generator (FP32, evaluation mode) and the header of a file that :func:`save_generator` wrote.

    Raises:
        WeightsError: the file cannot be used; the message says why.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error
    if header.get("format") != FORMAT:
        raise WeightsError(
            f"{path} has format {header.get('format')!r}, expected {FORMAT!r}; "
            "write it with `python -m training.release` from the folder of a run"
        )
    if header.get("preset") not in PRESETS:
        raise WeightsError(f"{path} is for preset {header.get('preset')!r}; this version has {', '.join(PRESETS)}")
    generator = Generator(PRESETS[header["preset"]])
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit preset {header['preset']!r}: {error}") from error
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise WeightsError(f"{path} holds NaN or infinite weights; train again or take another checkpoint")
    return generator.eval(), header
