"""What ``--json`` prints."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["json_text"]


def json_text(document: dict[str, Any]) -> str:
    """The document as JSON, with null for a number that is NaN or infinite: JSON has neither."""
    return json.dumps(_finite(document), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
