"""JSON has no NaN."""

from __future__ import annotations

import json

import numpy as np

from iic_rt.cli.json_text import json_text


def test_what_is_no_number_is_null() -> None:
    nan, infinity = float("nan"), float("inf")
    text = json_text({"a": nan, "b": [1.5, -infinity, {"c": (infinity, "NaN", None, True)}], "d": np.float64("nan")})
    assert json.loads(text) == {"a": None, "b": [1.5, None, {"c": [None, "NaN", None, True]}], "d": None}
