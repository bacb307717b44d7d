"""A run's state as one safetensors file: nothing is pickled, and a kill while writing leaves the file before it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from iic_rt.files import write_bytes

__all__ = ["load_state", "optimizer_tensors", "restore_optimizer", "save_state"]


def save_state(path: Path, tensors: dict[str, Tensor], progress: dict[str, float]) -> None:
    """Writes ``tensors`` and, in the file's header, ``progress`` (step, minutes, best PSNR) in one atomic rename."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(flat, metadata={"progress": json.dumps(progress)}))


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The tensors and the progress that :func:`save_state` wrote."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the handle is no dict
        return tensors, json.loads(file.metadata()["progress"])


def optimizer_tensors(prefix: str, optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """Adam's moments, by the name of their parameter."""
    tensors = {}
    for name, parameter in module.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{prefix}.{key}.{name}"] = value
    return tensors


def restore_optimizer(
    prefix: str, optimizer: torch.optim.Optimizer, module: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Puts back what :func:`optimizer_tensors` took."""
    for name, parameter in module.named_parameters():
        for key in ("step", "exp_avg", "exp_avg_sq"):
            stored = tensors.get(f"{prefix}.{key}.{name}")
            if stored is None:
                continue
            # The fused kernels want the step beside the parameter; copying keeps the moments' memory layout.
            target = torch.zeros((), device=parameter.device) if key == "step" else torch.zeros_like(parameter)
            optimizer.state[parameter][key] = target.copy_(stored)
