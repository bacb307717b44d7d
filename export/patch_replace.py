"""``iic::PatchReplace`` as an ONNX function of standard operators, and the ``replace`` graph around it."""

from __future__ import annotations

import onnx

__all__ = ["DOMAIN", "ROWS_PER_BLOCK", "build_patch_replace", "build_replace", "typed"]

DOMAIN = "iic"
ROWS_PER_BLOCK = 1024  # hole rows whose softmax is held at once: 1024 x N floats, never N x N

SMALLEST_SHARE = "1e-12"  # smaller ones count as 0: a product with subnormal floats takes a CPU a hundred times as long

# Hole rows and valid columns are gathered, so the cost is hole x valid and not N x N; the blocks bound the memory.
# Engines without NonZero (TensorRT) take the plugin in place of this body.
FUNCTION = f"""
<domain: "{DOMAIN}", opset_import: ["" : 20]>
PatchReplace <scale> (q, k, v, hole, weight) => (out, replaced)
{{
    zero = Constant <value_float = 0.0> ()
    first_axis = Constant <value_ints = [0]> ()
    second_axis = Constant <value_ints = [1]> ()
    one = Constant <value_int = 1> ()
    block = Constant <value_int = {ROWS_PER_BLOCK}> ()
    block_less_one = Constant <value_int = {ROWS_PER_BLOCK - 1}> ()
    block_1d = Constant <value_ints = [{ROWS_PER_BLOCK}]> ()
    go_on = Constant <value = bool {{1}}> ()
    factor = Constant <value_float: float = @scale> ()
    queries = Cast <to = 1> (q)
    keys_unscaled = Cast <to = 1> (k)
    keys = Mul (keys_unscaled, factor)
    values = Cast <to = 1> (v)
    hole_float = Cast <to = 1> (hole)
    weight_float = Cast <to = 1> (weight)
    is_hole = Greater (hole_float, zero)
    is_valid = Greater (weight_float, zero)
    batch_1d = Shape <start = 0, end = 1> (values)
    batch = Squeeze (batch_1d)
    out_float, replaced = Loop (batch, go_on) <body = picture (int64 i, bool keep_on)
        => (bool still_on, float[N, Dv] out_i, float[N] replaced_i)
    {{
        still_on = Identity (keep_on)
        queries_i = Gather (queries, i)
        keys_i = Gather (keys, i)
        values_i = Gather (values, i)
        is_hole_i = Gather (is_hole, i)
        is_valid_i = Gather (is_valid, i)
        weight_i = Gather (weight_float, i)
        hole_indices = NonZero (is_hole_i)
        rows = Transpose <perm = [1, 0]> (hole_indices)
        valid_indices = NonZero (is_valid_i)
        valid = Squeeze (valid_indices, first_axis)
        valid_keys = Gather (keys_i, valid)
        key_columns = Transpose <perm = [1, 0]> (valid_keys)
        valid_values = Gather (values_i, valid)
        valid_weights = Gather (weight_i, valid)
        bias = Log (valid_weights)
        row_count = Size (is_hole_i)
        hole_count_1d = Shape <start = 0, end = 1> (rows)
        hole_count = Squeeze (hole_count_1d)
        valid_count = Size (valid)
        some_valid = Min (valid_count, one)
        rounded = Add (hole_count, block_less_one)
        all_blocks = Div (rounded, block)
        blocks = Mul (all_blocks, some_valid)
        out_i = Loop (blocks, keep_on, values_i) <body = rows_of_a_block (int64 t, bool more, float[N, Dv] so_far)
            => (bool more_out, float[N, Dv] so_far_out)
        {{
            more_out = Identity (more)
            start = Mul (t, block)
            start_1d = Unsqueeze (start, first_axis)
            end_1d = Add (start_1d, block_1d)
            block_rows = Slice (rows, start_1d, end_1d, first_axis)
            block_indices = Squeeze (block_rows, second_axis)
            block_queries = Gather (queries_i, block_indices)
            cosines = MatMul (block_queries, key_columns)
            logits = Add (cosines, bias)
            softmax = Softmax <axis = -1> (logits)
            share = ThresholdedRelu <alpha = {SMALLEST_SHARE}> (softmax)
            copied = MatMul (share, valid_values)
            so_far_out = ScatterND (so_far, block_rows, copied)
        }}>
        some_valid_float = Cast <to = 1> (some_valid)
        is_hole_float = Cast <to = 1> (is_hole_i)
        replaced_i = Mul (is_hole_float, some_valid_float)
    }}>
    out = CastLike (out_float, v)
}}
"""

REPLACE = """
<ir_version: 10, opset_import: ["" : 20, "iic" : 1]>
replace (TYPE[1, patches, descriptor] q, TYPE[1, channels, cells, cells] features, TYPE[1, 1, cells, cells] inside,
         float[1, groups, groups] hole, float[1, groups, groups] weight, int64[window_cells] windows,
         int64[cells] first, int64[cells] second, float[cells] share)
    => (TYPE[1, channels, cells, cells] mixed, float[1, groups, groups] replaced)
<int64[1] one_1d = {1}, int64[1] minus_one_1d = {-1}, int64[1] any = {-1}, int64[2] one_row = {1, -1},
 float zero = {0}, float unit = {1}, float smallest = {0.000001}>
{
    # Patches as rows, each with a margin that it shares with its neighbours.
    tall = Gather <axis = 2> (features, windows)
    wide = Gather <axis = 3> (tall, windows)
    channels_1d = Shape <start = 1, end = 2> (features)
    groups = Shape <start = 1, end = 2> (hole)
    patches = Mul (groups, groups)
    wide_cells = Shape <start = 2, end = 3> (wide)
    side = Div (wide_cells, groups)
    grid_shape = Concat <axis = 0> (channels_1d, groups, side, groups, side)
    grid = Reshape (wide, grid_shape)
    by_patch = Transpose <perm = [1, 3, 0, 2, 4]> (grid)
    rows_shape = Concat <axis = 0> (one_1d, patches, any)
    rows = Reshape (by_patch, rows_shape)
    hole_row = Reshape (hole, one_row)
    weight_row = Reshape (weight, one_row)
    copied, replaced_row = iic.PatchReplace <scale = SCALE, plugin_namespace = "iic", plugin_version = "1">
        (q, q, rows, hole_row, weight_row)
    map_shape = Concat <axis = 0> (one_1d, groups, groups)
    replaced = Reshape (replaced_row, map_shape)
    # Back to a map, from replaced patches alone: the margin of a known patch is unknown where it reaches into the hole.
    flags_float = Unsqueeze (replaced_row, minus_one_1d)
    flags = Cast <to = TYPE_NUMBER> (flags_float)
    copied_rows = Mul (copied, flags)
    back_shape = Concat <axis = 0> (groups, groups, channels_1d, side, side)
    back_grid = Reshape (copied_rows, back_shape)
    back_planes = Transpose <perm = [2, 0, 3, 1, 4]> (back_grid)
    wide_shape = Concat <axis = 0> (one_1d, channels_1d, wide_cells, wide_cells)
    back = Reshape (back_planes, wide_shape)
    rest = Sub (unit, share)
    share_column = Unsqueeze (share, minus_one_1d)
    rest_column = Unsqueeze (rest, minus_one_1d)
    upper_cells = Gather <axis = 2> (back, first)
    lower_cells = Gather <axis = 2> (back, second)
    upper = Cast <to = 1> (upper_cells)
    lower = Cast <to = 1> (lower_cells)
    upper_part = Mul (upper, share_column)
    lower_part = Mul (lower, rest_column)
    joined_float = Add (upper_part, lower_part)
    joined_rows = Cast <to = TYPE_NUMBER> (joined_float)
    left_cells = Gather <axis = 3> (joined_rows, first)
    right_cells = Gather <axis = 3> (joined_rows, second)
    left = Cast <to = 1> (left_cells)
    right = Cast <to = 1> (right_cells)
    left_part = Mul (left, share)
    right_part = Mul (right, rest)
    joined = Add (left_part, right_part)
    # The weight that each cell got in all, from the flags alone: first along the rows of patches, then the columns.
    first_patch = Div (first, side)
    second_patch = Div (second, side)
    upper_flags = Gather <axis = 1> (replaced, first_patch)
    lower_flags = Gather <axis = 1> (replaced, second_patch)
    upper_weight = Mul (upper_flags, share_column)
    lower_weight = Mul (lower_flags, rest_column)
    weight_rows = Add (upper_weight, lower_weight)
    left_flags = Gather <axis = 2> (weight_rows, first_patch)
    right_flags = Gather <axis = 2> (weight_rows, second_patch)
    left_weight = Mul (left_flags, share)
    right_weight = Mul (right_flags, rest)
    cell_weight = Add (left_weight, right_weight)
    safe_weight = Max (cell_weight, smallest)
    blended = Div (joined, safe_weight)
    blended_cells = Cast <to = TYPE_NUMBER> (blended)
    inside_float = Cast <to = 1> (inside)
    is_inside = Greater (inside_float, zero)
    mixed = Where (is_inside, blended_cells, features)
}
"""


SINGLE = """
<ir_version: 10, opset_import: ["" : 20, "iic" : 1]>
patch_replace (TYPE[B, N, D] q, TYPE[B, N, D] k, TYPE[B, N, Dv] v, float[B, N] hole, float[B, N] weight)
    => (TYPE[B, N, Dv] out, float[B, N] replaced)
{
    out, replaced = iic.PatchReplace <scale = SCALE, plugin_namespace = "iic", plugin_version = "1">
        (q, k, v, hole, weight)
}
"""


def build_patch_replace(scale: float, dtype: str = "float32") -> onnx.ModelProto:
    """A model of the one node, as the specification defines it; ``dtype`` of q, k and v, float32 or float16."""
    return _parse(SINGLE, scale, dtype)


def build_replace(scale: float, dtype: str = "float32") -> onnx.ModelProto:
    """The ``replace`` graph; shapes and meaning in ``export.upsample_graphs``.

    ``dtype`` of q, features, inside and mixed, float32 or float16; the casts do nothing in float32. Cells are moved
    in it, and weighed in float32: the weights of a cell may be as small as 1e-6.
    """
    return _parse(REPLACE, scale, dtype)


def _parse(text: str, scale: float, dtype: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(typed(text, dtype).replace("SCALE", repr(float(scale))) + FUNCTION)
    onnx.checker.check_model(model, full_check=True)
    return model


def typed(text: str, dtype: str) -> str:
    """A graph's text with the type it leaves open: ``TYPE``, and ``TYPE_NUMBER`` for the argument of a Cast."""
    name, number = {"float32": ("float", 1), "float16": ("float16", 10)}[dtype]
    return text.replace("TYPE_NUMBER", str(number)).replace("TYPE", name)
