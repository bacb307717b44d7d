"""``iic::PatchSearch`` as an ONNX function of standard operators, see ``export.patch_graphs``."""

from __future__ import annotations

from export.graphs import DOMAIN, OPSET

__all__ = ["SEARCH_FUNCTION"]

NOTHING = "-1e30"  # logit of what may not be chosen: small beside every other, and no NaN comes of it

SEARCH_FUNCTION = f"""
<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>
PatchSearch <best, scale> (q, hole, weight) => (offset, share)
{{
    nothing = Constant <value_float = {NOTHING}> ()
    half_of_nothing = Constant <value_float = {NOTHING[:-2]}29> ()
    zero = Constant <value_float = 0.0> ()
    unit = Constant <value_float = 1.0> ()
    zero_number = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    quarters = Constant <value_int = 4> ()
    zero_1d = Constant <value_ints = [0]> ()
    one_1d = Constant <value_ints = [1]> ()
    two_1d = Constant <value_ints = [2]> ()
    flat_shape = Constant <value_ints = [0, -1]> ()
    planes_shape = Constant <value_ints = [0, 0]> ()
    offset_planes_shape = Constant <value_ints = [0, 0, 0]> ()
    wanted_number = Constant <value_int: int = @best> ()
    wanted = Unsqueeze (wanted_number, zero_1d)
    factor = Constant <value_float: float = @scale> ()
    rows_1d = Shape <start = 1, end = 2> (hole)
    columns_1d = Shape <start = 2, end = 3> (hole)
    rows = Squeeze (rows_1d)
    columns = Squeeze (columns_1d)
    patches = Mul (rows, columns)

    hole_row = Reshape (hole, flat_shape)
    weight_row = Reshape (weight, flat_shape)
    is_hole = Greater (hole_row, zero)
    is_valid = Greater (weight_row, zero)
    some_weight = Where (is_valid, weight_row, unit)
    log_weight = Log (some_weight)
    bias = Where (is_valid, log_weight, nothing)
    bias_column = Unsqueeze (bias, one_1d)
    descriptors = Cast <to = 1> (q)
    scaled = Mul (descriptors, factor)
    columns_of_q = Transpose <perm = [0, 2, 1]> (descriptors)
    cosines = MatMul (scaled, columns_of_q)
    logit = Add (cosines, bias_column)

    greatest, kept = TopK <axis = 2, largest = 1, sorted = 1> (logit, wanted)
    softmax = Softmax <axis = 2> (greatest)
    may_be_kept = Greater (greatest, half_of_nothing)
    is_hole_column = Unsqueeze (is_hole, two_1d)
    is_kept = And (may_be_kept, is_hole_column)
    share_rows = Where (is_kept, softmax, zero)
    share_planes = Transpose <perm = [0, 2, 1]> (share_rows)
    share_shape = Concat <axis = 0> (planes_shape, rows_1d, columns_1d)
    share = Reshape (share_planes, share_shape)

    # Where a patch is and where what it copies is, [B, N, best] of either: the steps between them.
    number_row = Range (zero_number, patches, one)
    number = Unsqueeze (number_row, one_1d)
    row = Div (number, columns)
    row_start = Mul (row, columns)
    column = Sub (number, row_start)
    kept_row = Div (kept, columns)
    kept_start = Mul (kept_row, columns)
    kept_column = Sub (kept, kept_start)
    rows_between = Sub (kept_row, row)
    columns_between = Sub (kept_column, column)
    rows_of_kept = Where (is_kept, rows_between, zero_number)
    columns_of_kept = Where (is_kept, columns_between, zero_number)
    row_planes = Transpose <perm = [0, 2, 1]> (rows_of_kept)
    column_planes = Transpose <perm = [0, 2, 1]> (columns_of_kept)
    row_planes_apart = Unsqueeze (row_planes, two_1d)
    column_planes_apart = Unsqueeze (column_planes, two_1d)
    steps = Concat <axis = 2> (row_planes_apart, column_planes_apart)
    steps_in_quarters = Mul (steps, quarters)
    offset_shape = Concat <axis = 0> (offset_planes_shape, rows_1d, columns_1d)
    offset_grid = Reshape (steps_in_quarters, offset_shape)
    offset = Cast <to = 6> (offset_grid)
}}
"""
