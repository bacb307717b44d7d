"""A kill while a state is being written leaves the state before it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from training.checkpoint import load_state, save_state


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    tensors = {"a": torch.arange(4.0), "b.c": torch.eye(3).t()[::2]}
    save_state(path, tensors, {"step": 7, "minutes": 1.5, "best": -float("inf")})
    loaded, progress = load_state(path)
    assert progress == {"step": 7, "minutes": 1.5, "best": -float("inf")}
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor)


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_kill_while_writing_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    path = tmp_path / "state.safetensors"
    save_state(path, {"a": torch.zeros(2)}, {"step": 1})

    def never(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, never)
        with pytest.raises(KeyboardInterrupt):
            save_state(path, {"a": torch.ones(2)}, {"step": 2})
    assert load_state(path)[1] == {"step": 1}
    save_state(path, {"a": torch.ones(2)}, {"step": 3})
    assert load_state(path)[1] == {"step": 3}
