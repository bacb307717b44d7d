"""The examples of docs/video-masks.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from iic_rt.video.json_masks import JsonMasks

PAGE = (Path(__file__).parents[2] / "docs" / "video-masks.md").read_text()


def test_the_python_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "video-masks.md", "exec"), names)
    assert names["mask"] is not None


def test_the_json_example_is_read() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    masks = JsonMasks(json.loads(text))
    frame = np.zeros((540, 960, 3), np.uint8)
    moved = masks.mask(frame, 25, None)
    assert moved is not None
    assert moved[130, 150]
    assert masks.mask(frame, 90, None) is None
