"""The graphs between pixels and the loop: ``prepare``, ``seam`` and ``composite``; they have no weights of their own.

S is the side of the region, C the channels of the image, s the side of the loop, p = 4 * S / s.

=========  ====================  ==================================================================
prepare    ``iic_rt.reference.algorithm.prepare``
=========  ====================  ==================================================================
image      [S, S, C]             uint8
visible    [S, S]                uint8, 0 = not to be looked at: the hole, and what is avoided
weights    [4, p]                float32, ``iic_rt.resampling.area_weights``; S is a multiple of p
order      [3, C]                float32, makes RGB of the image's channels
y          [1, 3, s, s]          float32 in [-1, 1], the hole zeroed
m          [1, 1, s, s]          float32 in {0, 1}
seam       ``iic_rt.reference.pixels.close_seam``
y          [1, 3, s, s]          float32, the loop's result
m          [1, 1, s, s]          float32 in {0, 1}, what it has filled
low        [1, 3, s + 12, s + 12]  float32 in about [-1, 1], the border repeated six times
composite  ``iic_rt.reference.pixels.composite``
low        [1, 3, a, b]          float32
weights    [p, 16]               float32, ``iic_rt.resampling.enlarge_weights``
image      [S, S, C]             uint8
hole       [S, S]                uint8, nonzero = filled
order      [C, 3]                float32, makes the image's channels of RGB
keep       [C, 1, 1]             float32 in {0, 1}, 1 = this channel stays as it is: alpha
filled     [S, S, C]             uint8
=========  ====================  ==================================================================

Reshapes and small products instead of a resize operator: every engine runs them alike and exactly. TensorRT takes uint8
at the borders of a graph alone: a Cast comes first behind an input and last before an output.
"""

from __future__ import annotations

import onnx

from export.graphs import IR_VERSION, OPSET
from iic_rt.resampling import BASE_REACH, PATCH

__all__ = [
    "BASE",
    "BASE_CONSTANTS",
    "HEAD",
    "TAPS",
    "TO_RGB",
    "build_composite",
    "build_prepare",
    "build_seam",
    "composite_text",
]

TAPS = PATCH + 2 * BASE_REACH
HEAD = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>'

PREPARE = f"""{HEAD}
prepare (uint8[side, side, C] image, uint8[side, side] visible, float[4, p] weights, float[3, C] order)
    => (float[1, 3, size, size] y, float[1, 1, size, size] m)
<int64[1] any = {{-1}}, int64[1] three = {{3}}, int64[1] four = {{4}}, int64[1] one = {{1}},
 float zero = {{0}}, float unit = {{1}}, float half_range = {{127.5}}>
{{
    visible_values = Cast <to = 1> (visible)
    side_ = Shape <start = 0, end = 1> (visible_values)
    p_ = Shape <start = 1, end = 2> (weights)
    groups = Div (side_, p_)
    size_ = Mul (groups, four)
    channels = Shape <start = 1, end = 2> (order)
    row = Mul (side_, channels)
    columns = Transpose <perm = [1, 0]> (weights)

    pixels = Cast <to = 1> (image)
    pixel_shape = Concat <axis = 0> (any, p_, row)
    pixel_groups = Reshape (pixels, pixel_shape)
    shrunk_rows = MatMul (weights, pixel_groups)
    shrunk_shape = Concat <axis = 0> (any, side_, channels)
    shrunk = Reshape (shrunk_rows, shrunk_shape)
    planes = Transpose <perm = [2, 0, 1]> (shrunk)
    plane_shape = Concat <axis = 0> (any, p_)
    plane_groups = Reshape (planes, plane_shape)
    shrunk_planes = MatMul (plane_groups, columns)
    flat_shape = Concat <axis = 0> (channels, any)
    flat = Reshape (shrunk_planes, flat_shape)
    rgb = MatMul (order, flat)
    y_shape = Concat <axis = 0> (one, three, size_, size_)
    mean = Reshape (rgb, y_shape)
    scaled = Div (mean, half_range)
    centred = Sub (scaled, unit)

    weight_covers = Greater (weights, zero)
    cover = Cast <to = 1> (weight_covers)
    cover_columns = Transpose <perm = [1, 0]> (cover)
    is_visible = Greater (visible_values, zero)
    is_unknown = Not (is_visible)
    unknown = Cast <to = 1> (is_unknown)
    mask_shape = Concat <axis = 0> (any, p_, side_)
    mask_groups = Reshape (unknown, mask_shape)
    covered_rows = MatMul (cover, mask_groups)
    row_groups = Reshape (covered_rows, plane_shape)
    covered = MatMul (row_groups, cover_columns)
    m_shape = Concat <axis = 0> (one, one, size_, size_)
    count = Reshape (covered, m_shape)
    is_hole = Greater (count, zero)
    m = Cast <to = 1> (is_hole)
    known = Sub (unit, m)
    y = Mul (centred, known)
}}
"""

BORDER = ", ".join(str(n) for n in 2 * (0, 0, BASE_REACH, BASE_REACH))
SEAM = f"""{HEAD}
seam (float[1, 3, height, width] y, float[1, 1, height, width] m) => (float[1, 3, padded_height, padded_width] low)
<float least = {{-1}}, float most = {{1}}, float two = {{2}}, float tiny = {{1e-6}},
 int64[4] parts_sizes = {{3, 3, 1, 1}}, int64[8] border = {{{BORDER}}}>
{{
    picture = Clip (y, least, most)
    known = Sub (most, m)
    known_picture = Mul (picture, known)
    filled_picture = Mul (picture, m)
    parts = Concat <axis = 1> (known_picture, filled_picture, known, m)
    once = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (parts)
    twice = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (once)
    known_sum, filled_sum, known_share, filled_share = Split <axis = 1> (twice, parts_sizes)
    known_weight = Max (known_share, tiny)
    filled_weight = Max (filled_share, tiny)
    known_mean = Div (known_sum, known_weight)
    filled_mean = Div (filled_sum, filled_weight)
    step = Sub (known_mean, filled_mean)
    doubled = Mul (known_share, two)
    strength = Min (doubled, most)
    inside = Mul (strength, m)
    change = Mul (step, inside)
    closed = Add (picture, change)
    low = Pad <mode = "edge"> (closed, border)
}}
"""

# image [h, S, C] -> rgb [1, 3, h, S], of 255.
TO_RGB = """
    pixels = Cast <to = 1> (image)
    channels_first = Transpose <perm = [2, 0, 1]> (pixels)
    image_channels = Shape <start = 1, end = 2> (order)
    flat_shape = Concat <axis = 0> (image_channels, any)
    flat = Reshape (channels_first, flat_shape)
    flat_rgb = MatMul (order, flat)
    rgb = Reshape (flat_rgb, base_shape)
"""

# low [1, 3, a, b] -> base [1, 3, h, S]: overlapping groups of 16 along either axis, each times the weights.
BASE = """
    width_of_low = Shape <start = 3, end = 4> (low)
    low_rows = Reshape (low, as_rows)
    row_taps = Conv <strides = [4, 1]> (low_rows, pick_rows)
    row_groups = Transpose <perm = [0, 2, 1, 3]> (row_taps)
    rows_of_groups = MatMul (weights, row_groups)
    tall_shape = Concat <axis = 0> (planes, any, width_of_low)
    tall = Reshape (rows_of_groups, tall_shape)
    tall_planes = Unsqueeze (tall, one)
    column_taps = Conv <strides = [1, 4]> (tall_planes, pick_columns)
    column_groups = Transpose <perm = [0, 2, 3, 1]> (column_taps)
    weight_columns = Transpose <perm = [1, 0]> (weights)
    columns_of_groups = MatMul (column_groups, weight_columns)
    p = Shape <start = 0, end = 1> (weights)
    groups = Shape <start = 2, end = 3> (column_groups)
    height = Shape <start = 1, end = 2> (column_groups)
    width = Mul (p, groups)
    base_shape = Concat <axis = 0> (one, planes, height, width)
    base = Reshape (columns_of_groups, base_shape)
"""
IDENTITY = ", ".join(str(int(i == j)) for i in range(TAPS) for j in range(TAPS))
BASE_CONSTANTS = f"""
 int64[4] as_rows = {{3, 1, -1, 0}}, int64[1] planes = {{3}}, int64[1] any = {{-1}}, int64[1] one = {{1}},
 float[{TAPS}, 1, {TAPS}, 1] pick_rows = {{{IDENTITY}}}, float[{TAPS}, 1, 1, {TAPS}] pick_columns = {{{IDENTITY}}}"""


def composite_text(name: str, detail: str, make_picture: str) -> str:
    """A graph that enlarges ``low``, makes the image's channels of it and puts it into the hole.

    Args:
        name: of the graph.
        detail: an input more, ending in a comma, or nothing.
        make_picture: the line that makes ``picture`` of ``base``, both [1, 3, h, S] in about [-1, 1].
    """
    return f"""{HEAD}
{name} ({detail}float[1, 3, a, b] low, float[p, {TAPS}] weights, uint8[h, S, C] image, uint8[h, S] hole,
    float[C, 3] order, float[C, 1, 1] keep) => (uint8[h, S, C] filled)
<{BASE_CONSTANTS}, int64[2] flat_shape = {{3, -1}}, float half_range = {{127.5}}, float black = {{0}},
 float white = {{255}}>
{{
    {BASE}
    {make_picture}
    flat = Reshape (picture, flat_shape)
    flat_channels = MatMul (order, flat)
    channels_shape = Concat <axis = 0> (any, height, width)
    channels = Reshape (flat_channels, channels_shape)
    scaled = Mul (channels, half_range)
    shifted = Add (scaled, half_range)
    clipped = Clip (shifted, black, white)
    rounded = Round (clipped)
    hole_values = Cast <to = 1> (hole)
    is_hole = Greater (hole_values, black)
    stays = Greater (keep, black)
    changes = Not (stays)
    is_written = And (is_hole, changes)
    pixels = Cast <to = 1> (image)
    image_channels = Transpose <perm = [2, 0, 1]> (pixels)
    written = Where (is_written, rounded, image_channels)
    channels_last = Transpose <perm = [1, 2, 0]> (written)
    filled = Cast <to = 2> (channels_last)
}}
"""


COMPOSITE = composite_text("composite", "", "picture = Identity (base)")


def _parsed(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return model


def build_prepare() -> onnx.ModelProto:
    """The ``prepare`` graph, for every side, working size and number of channels."""
    return _parsed(PREPARE)


def build_seam() -> onnx.ModelProto:
    """The ``seam`` graph, for every size."""
    return _parsed(SEAM)


def build_composite() -> onnx.ModelProto:
    """The ``composite`` graph, for every side, working size and number of channels."""
    return _parsed(COMPOSITE)
