"""Data-parallel training: processes side by side, each with its share of every batch.

They find each other by the environment variables that torchrun sets too: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT.
On a CPU, two processes of one thread train faster than one process of two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

__all__ = ["ALONE", "Ranks"]


@dataclass(frozen=True)
class Ranks:
    """This process among ``count``; the first, rank 0, keeps the clock, the state and the log for all."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls) -> Ranks:
        """The rank that the environment gives this process, once all of them are there; alone without one."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return ALONE
        # The whole run may be paused for longer than any reasonable time-out.
        dist.init_process_group("gloo", timeout=timedelta(days=365))
        return cls(dist.get_rank(), count)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share_of(self, batch: int) -> int:
        """This rank's part of a batch.

        Raises:
            ValueError: the batch cannot be split evenly.
        """
        if batch % self.count:
            raise ValueError(f"a batch of {batch} cannot be split evenly over {self.count} processes")
        return batch // self.count

    def of_first(self, *values: float) -> list[float]:
        """The values that rank 0 passed, on every rank."""
        if self.count == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(shared, 0)
        return shared.tolist()

    def average_gradients(self, module: nn.Module) -> None:
        """Every gradient becomes its mean over the ranks, in one exchange."""
        if self.count == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = flat.div_(self.count).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    @contextmanager
    def first_before_the_others(self) -> Iterator[None]:
        """A part that rank 0 does before the others begin it, such as filling a cache."""
        if self.count > 1 and not self.first:
            dist.barrier()
        yield
        if self.count > 1 and self.first:
            dist.barrier()

    @contextmanager
    def others_wait(self) -> Iterator[None]:
        """A part that rank 0 alone does: meanwhile it uses the processor cores of all."""
        threads = torch.get_num_threads()
        torch.set_num_threads(threads * self.count)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


ALONE = Ranks()
