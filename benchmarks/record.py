"""What a result was measured on and with: without it a number is no result."""

from __future__ import annotations

from typing import Any

import onnxruntime

from iic_rt.bench.environment import environment as bench_environment
from iic_rt.bench.record import write_record
from iic_rt.bundle.manifest import Bundle

__all__ = ["environment", "write_record"]

SCHEMA = 1


def environment(bundle: Bundle) -> dict[str, Any]:
    """Versions, processor, commit and the hash of the weights (the model card in a bundle may quote the results)."""
    return {"schema": SCHEMA, **bench_environment(bundle), "onnxruntime": onnxruntime.__version__}
