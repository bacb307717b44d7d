from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.json_masks import JsonMasks
from tests.video.scenes import SHAPE, Pixels

FRAME = np.zeros((*SHAPE, 3), np.uint8)


def box(left: int, top: int, right: int, bottom: int) -> Pixels:
    mask = np.zeros(SHAPE, np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def test_a_key_holds_until_the_next() -> None:
    masks = open_masks(
        {
            "frames": [
                {"frame": 9, "boxes": []},
                {"frame": 2, "boxes": [[10, 20, 30, 40]]},
                {"frame": 5, "boxes": [[0, 0, 5, 5], [150, 110, 400, 400]]},
            ]
        }
    )
    assert masks.mask(FRAME, 0) is None
    assert masks.mask(FRAME, 1) is None
    for i in (2, 3, 4):
        assert (masks.mask(FRAME, i) == box(10, 20, 30, 40)).all()
    assert (masks.mask(FRAME, 8) == (box(0, 0, 5, 5) | box(150, 110, 160, 120))).all()
    assert masks.mask(FRAME, 9) is None
    assert masks.mask(FRAME, 10**6) is None


def test_shapes_move_between_keys_where_their_number_is_the_same() -> None:
    square = [[10, 10], [20, 10], [20, 20], [10, 20]]
    moved = [[x + 40, y] for x, y in square]
    document = {
        "interpolate": True,
        "frames": [
            {"frame": 0, "boxes": [[0, 0, 10, 10]], "polygons": [square]},
            {"frame": 4, "boxes": [[40, 0, 50, 10], [0, 100, 10, 110]], "polygons": [moved]},
        ],
    }
    mask = JsonMasks(document).mask(FRAME, 2, None)
    assert mask is not None
    assert mask[15, 30:41].all()
    assert not mask[15, :30].any()
    assert not mask[15, 41:].any()
    assert mask[:10, :10].all()  # one box and then two: the first stays until then
    assert not mask[:10, 10:].any()


def test_times_in_seconds() -> None:
    masks = open_masks({"frames": [{"t": 0.5, "boxes": [[0, 0, 5, 5]]}, {"t": 1.0}]})
    assert masks.mask(FRAME, 0, 0.49) is None
    assert masks.mask(FRAME, 1, 0.5) is not None
    assert masks.mask(FRAME, 2, 1.0) is None
    with pytest.raises(InputError, match="gives times, and frame 3 has none"):
        masks.mask(FRAME, 3)


def test_coordinates_are_scaled_from_the_size_that_is_given() -> None:
    masks = open_masks({"width": 320, "height": 60, "frames": [{"frame": 0, "boxes": [[20, 10, 60, 20]]}]})
    assert (masks.mask(FRAME, 0) == box(10, 20, 30, 40)).all()


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "masks.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"frames": [{"frame": 0, "boxes": [[0, 0, 9, 9]]}]}).encode())
    with open_masks(path) as masks:
        assert (masks.mask(FRAME, 4) == box(0, 0, 9, 9)).all()


def entry(**fields: Any) -> dict[str, Any]:
    return {"frames": [{"frame": 0, **fields}]}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "the masks is a list of 0; an object with"),
        ({}, "frames is null"),
        ({"frames": {}}, "frames is an object of 0 fields"),
        ({"frames": [], "fps": 25}, 'a field "fps"; allowed'),
        ({"frames": [], "interpolate": 1}, "interpolate is 1"),
        ({"frames": [], "width": 5}, "belong together"),
        ({"frames": [], "width": 0, "height": 5}, "width is 0; allowed: a number from 1"),
        ({"frames": [3]}, r"frames\[0\] is 3"),
        ({"frames": [{}]}, r"frames\[0\] needs one of"),
        ({"frames": [{"frame": 1, "t": 1}]}, r"frames\[0\] needs one of"),
        ({"frames": [{"frame": 1}, {"t": 1}]}, r"frames\[1\] has no frame"),
        ({"frames": [{"frame": 1}, {"frame": 1.0}]}, "two entries have frame 1"),
        ({"frames": [{"frame": -1}]}, r"frames\[0\].frame is -1"),
        ({"frames": [{"frame": 0.5}]}, "whole number"),
        ({"frames": [{"frame": True}]}, r"frames\[0\].frame is true"),
        ({"frames": [{"frame": 10**400}]}, "a very large number"),
        ({"frames": [{"frame": float("nan")}]}, "frame is NaN"),
        (entry(box=[[1, 2, 3, 4]]), r'frames\[0\] has a field "box"'),
        (entry(boxes=[1, 2, 3, 4]), r"boxes\[0\] is 1; a list"),
        (entry(boxes=[[1, 2, 3]]), r"frames\[0\].boxes has shape \[1, 3\]"),
        (entry(boxes=[[1, 2, 3, "4"]]), r"frames\[0\].boxes\[0\]\[3\] is \"4\""),
        (entry(boxes=[[1, 2, 3, None]]), r"boxes\[0\]\[3\] is null"),
        (entry(boxes=[[1, 2, 3, 1e400]]), r"boxes\[0\]\[3\] is Infinity"),
        (entry(boxes=[[9, 2, 3, 4]]), r"boxes\[0\] is .* smaller"),
        (entry(boxes=[[[1], 2, 3, 4]]), "boxes"),
        (entry(boxes="x" * 10**6), "boxes is"),
        (entry(polygons=[[1, 2]]), r"polygons\[0\]"),
        (entry(polygons=[[[1, 2], [3, 4]]]), r"polygons\[0\] has 2 points"),
        (entry(polygons=[[[1, 2], [3, 4], [5, 6, 7]]]), r"polygons\[0\]"),
        (entry(polygons=[[[1, 2], [3, 4], [5, [6]]]]), r"polygons\[0\]"),
    ],
)
def test_wrong_entries_are_named_by_their_path(document: Any, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        JsonMasks(document)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 200_000,
        b'{"frames":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"frames": [{"frame": ' + b"9" * 10_000 + b"}]}",
        b'{"frames": [{"frame": 0, "boxes": [[0, 0, 1e999, 4]]}]}',
        b"\xff\xfe\x00",
        b"null",
        b'"frames"',
        b'{"frames": [{"frame": 0, "boxes": [[0, 0, NaN, 4]]}]}',
        b'{"\\ud800": 1}',
    ],
)
def test_hostile_files_are_refused_with_a_message(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.json") as caught:
        open_masks(path)
    assert len(str(caught.value)) < 400


def test_random_documents_raise_nothing_else(rng: np.random.Generator) -> None:
    leaves = [0, -1, 3.5, float("inf"), True, None, "x", "frames", 10**30, [], {}]
    names = ["frames", "frame", "t", "boxes", "polygons", "width", "height", "interpolate", "y"]

    def value(depth: int) -> Any:
        kind = rng.integers(3) if depth else 0
        if kind == 1:
            return [value(depth - 1) for _ in range(rng.integers(5))]
        if kind == 2:
            return {names[rng.integers(len(names))]: value(depth - 1) for _ in range(rng.integers(4))}
        return leaves[rng.integers(len(leaves))]

    for _ in range(3000):
        document = {"frames": [{"frame": i, "boxes": value(2), "polygons": value(3)} for i in range(rng.integers(3))]}
        for tried in (document, {**document, names[rng.integers(len(names))]: value(2)}, value(5)):
            try:
                masks = JsonMasks(tried)
            except InputError:
                continue
            masks.mask(FRAME, 1, 0.5)
