"""``iic::PatchSearch`` and ``iic::PatchReplace`` as ONNX functions, and the graphs ``search`` and ``replace`` of them.

The functions are of standard operators with static shapes, for engines that have neither the plugin nor the numpy code
of the CPU backends. They compute all N x N logits and all pixels: simple, and several times the work of either.
"""

from __future__ import annotations

import onnx

from export.graphs import IR_VERSION, OPSET
from iic_rt.bundle.manifest import OPERATORS_VERSION
from iic_rt.patches import SearchOptions

__all__ = ["DOMAIN", "build_replace", "build_search", "typed"]

DOMAIN = "iic"
NOTHING = "-1e30"  # logit of what may not be chosen: small beside every other, and no NaN comes of it

SEARCH_FUNCTION = f"""
<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>
PatchSearch <best, scale, coherence, sweeps> (q, hole, weight) => (source, share)
{{
    nothing = Constant <value_float = {NOTHING}> ()
    half_of_nothing = Constant <value_float = {NOTHING[:-2]}29> ()
    zero = Constant <value_float = 0.0> ()
    unit = Constant <value_float = 1.0> ()
    zero_number = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    one_1d = Constant <value_ints = [1]> ()
    two_1d = Constant <value_ints = [2]> ()
    flat_shape = Constant <value_ints = [0, -1]> ()
    wanted_number = Constant <value_int: int = @best> ()
    zero_1d = Constant <value_ints = [0]> ()
    wanted = Unsqueeze (wanted_number, zero_1d)
    factor = Constant <value_float: float = @scale> ()
    bonus = Constant <value_float: float = @coherence> ()
    times = Constant <value_int: int = @sweeps> ()
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
    source_rows = Where (is_kept, kept, zero_number)
    share_rows = Where (is_kept, softmax, zero)
    source_planes = Transpose <perm = [0, 2, 1]> (source_rows)
    share_planes = Transpose <perm = [0, 2, 1]> (share_rows)

    # The four neighbours of every patch: above, below, left, right.
    down = Constant <value = int64[4, 1] {{-1, 1, 0, 0}}> ()
    across = Constant <value = int64[4, 1] {{0, 0, -1, 1}}> ()
    number = Range (zero_number, patches, one)
    row = Div (number, columns)
    row_start = Mul (row, columns)
    column = Sub (number, row_start)
    near_row = Add (row, down)
    near_column = Add (column, across)
    last_row = Sub (rows, one)
    last_column = Sub (columns, one)
    near_row_above = Max (near_row, zero_number)
    near_row_in = Min (near_row_above, last_row)
    near_column_above = Max (near_column, zero_number)
    near_column_in = Min (near_column_above, last_column)
    row_exists = Equal (near_row, near_row_in)
    column_exists = Equal (near_column, near_column_in)
    exists = And (row_exists, column_exists)
    near_start = Mul (near_row_in, columns)
    near = Add (near_start, near_column_in)
    first_kept = Slice (is_kept, zero_1d, one_1d, two_1d)
    is_chosen = Squeeze (first_kept, two_1d)
    near_chosen = Gather <axis = 1> (is_chosen, near)
    near_counts = And (exists, near_chosen)
    colour_sum = Add (row, column)
    colour = Mod (colour_sum, two)
    own_ok_shape = Shape (is_chosen)
    own_ok_row = ConstantOfShape <value = bool[1] {{1}}> (own_ok_shape)
    own_ok = Unsqueeze (own_ok_row, one_1d)

    best_source = Slice (source_planes, zero_1d, one_1d, one_1d)
    halves = Mul (times, two)
    go_on = Constant <value = bool {{1}}> ()
    last_source = Loop (halves, go_on, best_source) <body = half_sweep (int64 t, bool more, int64[B, ONE, N] chosen)
        => (bool more_out, int64[B, ONE, N] chosen_out)
    {{
        more_out = Identity (more)
        chosen_row = Squeeze (chosen, one_1d)
        near_source = Gather <axis = 1> (chosen_row, near)
        near_source_row = Div (near_source, columns)
        near_source_start = Mul (near_source_row, columns)
        near_source_column = Sub (near_source, near_source_start)
        next_row = Sub (near_source_row, down)
        next_column = Sub (near_source_column, across)
        next_row_above = Max (next_row, zero_number)
        next_row_in = Min (next_row_above, last_row)
        next_column_above = Max (next_column, zero_number)
        next_column_in = Min (next_column_above, last_column)
        next_row_fits = Equal (next_row, next_row_in)
        next_column_fits = Equal (next_column, next_column_in)
        next_fits = And (next_row_fits, next_column_fits)
        next_start = Mul (next_row_in, columns)
        continued = Add (next_start, next_column_in)
        continued_shape = Shape (continued)
        continued_flat = Reshape (continued, flat_shape)
        valid_flat = GatherElements <axis = 1> (is_valid, continued_flat)
        continued_valid = Reshape (valid_flat, continued_shape)
        may_continue = And (next_fits, near_counts)
        ok = And (may_continue, continued_valid)
        candidates = Concat <axis = 1> (chosen, continued)
        all_ok = Concat <axis = 1> (own_ok, ok)
        by_patch = Transpose <perm = [0, 2, 1]> (candidates)
        logit_by_patch = GatherElements <axis = 2> (logit, by_patch)
        candidate_logit = Transpose <perm = [0, 2, 1]> (logit_by_patch)
        candidates_apart = Unsqueeze (candidates, two_1d)
        continued_apart = Unsqueeze (continued, one_1d)
        ok_apart = Unsqueeze (ok, one_1d)
        equal = Equal (candidates_apart, continued_apart)
        agrees = And (equal, ok_apart)
        agrees_float = Cast <to = 1> (agrees)
        agreement = ReduceSum <keepdims = 0> (agrees_float, two_1d)
        raised = Mul (agreement, bonus)
        value = Add (candidate_logit, raised)
        allowed_value = Where (all_ok, value, nothing)
        winner = ArgMax <axis = 1, keepdims = 1> (allowed_value)
        choice = GatherElements <axis = 1> (candidates, winner)
        colour_now = Mod (t, two)
        is_due = Equal (colour, colour_now)
        is_due_hole = And (is_due, is_chosen)
        is_due_hole_plane = Unsqueeze (is_due_hole, one_1d)
        chosen_out = Where (is_due_hole_plane, choice, chosen)
    }}>
    all_axes = Constant <value_ints = [2147483647]> ()
    other_sources = Slice (source_planes, one_1d, all_axes, one_1d)
    sources = Concat <axis = 1> (last_source, other_sources)
    grid_shape = Concat <axis = 0> (flat_shape, rows_1d, columns_1d)
    source_grid = Reshape (sources, grid_shape)
    source = Cast <to = 6> (source_grid)
    share = Reshape (share_planes, grid_shape)
}}
"""

# Of one axis: its pixels, the two patches over each of them [2, pixels] and their weights; the second's is 0 where no
# margins overlap.
AXIS = """
    A_pixels = Range (zero_number, LENGTH, one)
    A_own = Div (A_pixels, p)
    A_own_start = Mul (A_own, p)
    A_at = Sub (A_pixels, A_own_start)
    A_is_low = Less (A_at, margin)
    A_is_high = GreaterOrEqual (A_at, last_margin)
    A_last_patch = Sub (PATCHES, one)
    A_has_before = Greater (A_own, zero_number)
    A_has_after = Less (A_own, A_last_patch)
    A_low = And (A_is_low, A_has_before)
    A_high_too = And (A_is_high, A_has_after)
    A_low_not = Not (A_low)
    A_high = And (A_high_too, A_low_not)
    A_overlaps = Or (A_low, A_high)
    A_before = Sub (A_own, one)
    A_after = Add (A_own, one)
    A_after_or_own = Where (A_high, A_after, A_own)
    A_neighbour = Where (A_low, A_before, A_after_or_own)
    A_from_end = Sub (last_depth, A_at)
    A_depth = Where (A_low, A_at, A_from_end)
    A_reach = Add (A_depth, margin)
    A_reach_float = Cast <to = 1> (A_reach)
    A_centre = Add (A_reach_float, half_unit)
    A_falling = Div (A_centre, overlap)
    A_own_weight = Where (A_overlaps, A_falling, unit)
    A_other_weight = Sub (unit, A_own_weight)
    A_own_row = Unsqueeze (A_own, zero_1d)
    A_neighbour_row = Unsqueeze (A_neighbour, zero_1d)
    A_patches = Concat <axis = 0> (A_own_row, A_neighbour_row)
    A_own_weight_row = Unsqueeze (A_own_weight, zero_1d)
    A_other_weight_row = Unsqueeze (A_other_weight, zero_1d)
    A_weights = Concat <axis = 0> (A_own_weight_row, A_other_weight_row)
"""


def _axis(name: str, length: str, patches: str) -> str:
    return AXIS.replace("A_", f"{name}_").replace("LENGTH", length).replace("PATCHES", patches)


REPLACE_FUNCTION = f"""
<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>
PatchReplace (detail, inside, source, share) => (mixed, missing)
{{
    zero = Constant <value_float = 0.0> ()
    half_unit = Constant <value_float = 0.5> ()
    unit = Constant <value_float = 1.0> ()
    smallest = Constant <value_float = 1e-6> ()
    zero_number = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    two = Constant <value_int = 2> ()
    zero_1d = Constant <value_ints = [0]> ()
    one_1d = Constant <value_ints = [1]> ()
    last_1d = Constant <value_ints = [-1]> ()
    flat_shape = Constant <value_ints = [0, -1]> ()
    planes_shape = Constant <value_ints = [0, 0, -1]> ()
    row_axes = Constant <value_ints = [1, 3]> ()
    column_axes = Constant <value_ints = [0, 2]> ()
    rows_1d = Shape <start = 2, end = 3> (source)
    columns_1d = Shape <start = 3, end = 4> (source)
    height_1d = Shape <start = 2, end = 3> (detail)
    width_1d = Shape <start = 3, end = 4> (detail)
    rows = Squeeze (rows_1d)
    columns = Squeeze (columns_1d)
    height = Squeeze (height_1d)
    width = Squeeze (width_1d)
    p = Div (height, rows)
    margin = Div (p, two)
    margin_float = Cast <to = 1> (margin)
    overlap = Add (margin_float, margin_float)
    last_depth = Sub (p, one)
    last_margin = Sub (p, margin)
    last_y = Sub (height, one)
    last_x = Sub (width, one)
{_axis("y", "height", "rows")}
{_axis("x", "width", "columns")}
    # [2, 2, h, w]: the patches over every pixel, its own and the neighbours that overlap it.
    y_patch = Unsqueeze (y_patches, row_axes)
    x_patch = Unsqueeze (x_patches, column_axes)
    y_weight = Unsqueeze (y_weights, row_axes)
    x_weight = Unsqueeze (x_weights, column_axes)
    y_pixel_axes = Constant <value_ints = [1]> ()
    y_pixel = Unsqueeze (y_pixels, y_pixel_axes)
    patch_start = Mul (y_patch, columns)
    patch = Add (patch_start, x_patch)
    weight = Mul (y_weight, x_weight)
    source_planes = Reshape (source, planes_shape)
    source_number = Cast <to = 7> (source_planes)
    share_planes = Reshape (share, planes_shape)
    copied = Gather <axis = 2> (source_number, patch)
    part = Gather <axis = 2> (share_planes, patch)
    copied_row = Div (copied, columns)
    copied_start = Mul (copied_row, columns)
    copied_column = Sub (copied, copied_start)
    row_step = Sub (copied_row, y_patch)
    column_step = Sub (copied_column, x_patch)
    row_pixels = Mul (row_step, p)
    column_pixels = Mul (column_step, p)
    from_y = Add (row_pixels, y_pixel)
    from_x = Add (column_pixels, x_pixels)
    from_y_above = Max (from_y, zero_number)
    from_x_above = Max (from_x, zero_number)
    from_y_in = Min (from_y_above, last_y)
    from_x_in = Min (from_x_above, last_x)
    from_start = Mul (from_y_in, width)
    from_pixel = Add (from_start, from_x_in)
    from_flat = Reshape (from_pixel, flat_shape)
    inside_float = Cast <to = 1> (inside)
    inside_flat = Reshape (inside_float, flat_shape)
    is_inside = Greater (inside_flat, zero)
    from_inside = GatherElements <axis = 1> (is_inside, from_flat)
    all_weights = Mul (part, weight)
    weight_flat = Reshape (all_weights, flat_shape)
    counted = Where (from_inside, zero, weight_flat)
    # [B, windows, h * w]: every source of every patch over a pixel.
    pixel_count = Mul (height_1d, width_1d)
    windows_shape = Concat <axis = 0> (flat_shape, pixel_count)
    window_weights = Reshape (counted, windows_shape)
    total = ReduceSum <keepdims = 0> (window_weights, one_1d)
    is_reached = Greater (total, smallest)
    divisor = Where (is_reached, total, unit)
    flat_detail = Reshape (detail, planes_shape)
    # What is not to be read is 0, so that no product with it is a NaN.
    is_inside_plane = Unsqueeze (is_inside, one_1d)
    nothing = CastLike (zero, detail)
    readable = Where (is_inside_plane, nothing, flat_detail)
    by_pixel = Transpose <perm = [0, 2, 1]> (readable)
    from_index = Unsqueeze (from_flat, last_1d)
    picked = GatherND <batch_dims = 1> (by_pixel, from_index)
    picked_float = Cast <to = 1> (picked)
    counted_column = Unsqueeze (counted, last_1d)
    weighed = Mul (picked_float, counted_column)
    channels_1d = Shape <start = 1, end = 2> (detail)
    weighed_shape = Concat <axis = 0> (windows_shape, channels_1d)
    weighed_windows = Reshape (weighed, weighed_shape)
    sum = ReduceSum <keepdims = 0> (weighed_windows, one_1d)
    divisor_column = Unsqueeze (divisor, last_1d)
    mean = Div (sum, divisor_column)
    mean_planes = Transpose <perm = [0, 2, 1]> (mean)
    mean_like = CastLike (mean_planes, detail)
    written = And (is_inside, is_reached)
    written_plane = Unsqueeze (written, one_1d)
    mixed_planes = Where (written_plane, mean_like, flat_detail)
    detail_shape = Shape (detail)
    mixed = Reshape (mixed_planes, detail_shape)
    is_reached_not = Not (is_reached)
    is_missing = And (is_inside, is_reached_not)
    missing_flat = CastLike (is_missing, detail)
    inside_shape = Shape (inside)
    missing = Reshape (missing_flat, inside_shape)
}}
"""

SEARCH = f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}, "{DOMAIN}" : {OPERATORS_VERSION}]>
search (TYPE[1, patches, descriptor] q, float[1, rows, columns] hole, float[1, rows, columns] weight)
    => (int32[1, best, rows, columns] source, float[1, best, rows, columns] share)
{{
    source, share = {DOMAIN}.PatchSearch <best = BEST, scale = SCALE, coherence = COHERENCE, sweeps = SWEEPS,
        plugin_namespace = "{DOMAIN}", plugin_version = "{OPERATORS_VERSION}"> (q, hole, weight)
}}
"""

REPLACE = f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}, "{DOMAIN}" : {OPERATORS_VERSION}]>
replace (TYPE[1, channels, height, width] detail, TYPE[1, 1, height, width] inside,
         int32[1, best, rows, columns] source, float[1, best, rows, columns] share)
    => (TYPE[1, channels, height, width] mixed, TYPE[1, 1, height, width] missing)
{{
    mixed, missing = {DOMAIN}.PatchReplace <plugin_namespace = "{DOMAIN}", plugin_version = "{OPERATORS_VERSION}">
        (detail, inside, source, share)
}}
"""


def build_search(options: SearchOptions, dtype: str = "float32") -> onnx.ModelProto:
    """The ``search`` graph; ``dtype`` of q, float32 or float16. Shapes are in ``export.upsample_graphs``."""
    text = SEARCH.replace("BEST", str(options.best)).replace("SWEEPS", str(options.sweeps))
    for name, value in (("SCALE", options.scale), ("COHERENCE", options.coherence)):
        text = text.replace(name, repr(float(value)))
    return _parse(text, SEARCH_FUNCTION, dtype)


def build_replace(dtype: str = "float32") -> onnx.ModelProto:
    """The ``replace`` graph; ``dtype`` of detail, inside, mixed and missing, float32 or float16."""
    return _parse(REPLACE, REPLACE_FUNCTION, dtype)


def _parse(text: str, function: str, dtype: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(typed(text, dtype) + function)
    onnx.checker.check_model(model, full_check=True)
    return model


def typed(text: str, dtype: str) -> str:
    """A graph's text with the type it leaves open: ``TYPE``, and ``TYPE_NUMBER`` for the argument of a Cast."""
    name, number = {"float32": ("float", 1), "float16": ("float16", 10)}[dtype]
    return text.replace("TYPE_NUMBER", str(number)).replace("TYPE", name)
