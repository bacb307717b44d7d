"""A graph of the three operators, as the plugin's tests give it to engines."""

from __future__ import annotations

from typing import Any

import onnx

from iic_rt.bundle.manifest import OPERATORS_VERSION

# Found in an engine where somebody wrote them.
SCALE, STEPS = 37.625, [805, 43, 21, 1]
ATTRIBUTES: dict[str, dict[str, Any]] = {"PatchSearch": {"best": 1, "scale": SCALE}, "PatchMatch": {"steps": STEPS}}
ROWS, COLUMNS, DESCRIPTOR, CHANNELS, PIXELS = 4, 6, 76, 16, 2
MAP = [1, CHANNELS, ROWS * PIXELS, COLUMNS * PIXELS]
SHAPES = {
    "q": [1, ROWS * COLUMNS, DESCRIPTOR],
    "hole": [1, ROWS, COLUMNS],
    "weight": [1, ROWS, COLUMNS],
    "features": [1, 3, 4 * ROWS, 4 * COLUMNS],
    "valid": [1, 4 * ROWS, 4 * COLUMNS],
    "detail": MAP,
    "inside": [1, 1, *MAP[2:]],
}
TYPES = dict.fromkeys(SHAPES, "float")
OPERATORS = ["PatchSearch", "PatchMatch", "PatchReplace"]
PLUGIN = f'plugin_namespace = "iic", plugin_version = "{OPERATORS_VERSION}"'
# Stand-ins for the functions of standard operators: the plugins come before them.
FUNCTIONS = """
<domain: "iic", opset_import: ["" : 20]>
PatchSearch <best, scale, plugin_namespace, plugin_version> (q, hole, weight) => (offset, share) {
    axis = Constant <value_ints = [1]> ()
    share = Unsqueeze(hole, axis)
    numbers = Cast <to = 6> (share)
    plane = Unsqueeze(numbers, axis)
    twice = Constant <value_ints = [1, 1, 2, 1, 1]> ()
    offset = Tile(plane, twice)
}
<domain: "iic", opset_import: ["" : 20]>
PatchMatch <steps, plugin_namespace, plugin_version> (features, valid, offset, share) => (matched, cost) {
    matched = Neg(offset)
    cost = Neg(share)
}
<domain: "iic", opset_import: ["" : 20]>
PatchReplace <plugin_namespace, plugin_version> (detail, inside, offset, share) => (mixed, missing) {
    mixed = Neg(detail)
    missing = Neg(inside)
}
"""


def patch_model(types: dict[str, str], ranks: dict[str, int], *, functions: bool = False) -> onnx.ModelProto:
    """A search, a match of what it found, and a replacement by that, with any types and ranks of the inputs."""
    inputs = ", ".join(f"{types[name]}[{', '.join('?' * ranks[name])}] {name}" for name in types)
    search, match = (
        ", ".join(f"{name} = {value}" for name, value in ATTRIBUTES[operator].items()) for operator in OPERATORS[:2]
    )
    t = types["detail"]
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20, "iic" : {OPERATORS_VERSION}]> patches ({inputs}) => '
        f"({t}[?, ?, ?, ?] mixed, {t}[?, ?, ?, ?] missing, int32[?, ?, ?, ?, ?] matched, float[?, ?, ?, ?] cost) {{"
        f" offset, share = iic.PatchSearch <{search}, {PLUGIN}> (q, hole, weight)"
        f" matched, cost = iic.PatchMatch <{match}, {PLUGIN}> (features, valid, offset, share)"
        f" mixed, missing = iic.PatchReplace <{PLUGIN}> (detail, inside, matched, share) }}"
        + (FUNCTIONS if functions else "")
    )


def ranks(shapes: dict[str, Any]) -> dict[str, int]:
    return {name: len(shape[0]) if isinstance(shape[0], list) else len(shape) for name, shape in shapes.items()}


def of_type(dtype: str) -> dict[str, str]:
    return TYPES | dict.fromkeys(("q", "features", "detail", "inside"), dtype)
