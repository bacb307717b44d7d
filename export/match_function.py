"""``iic::PatchMatch`` as an ONNX function of standard operators, see ``export.patch_graphs``."""

from __future__ import annotations

from export.graphs import DOMAIN, OPSET
from iic_rt.reference.patch_match import AROUND, COHERENCE, NEIGHBOURS, PATCH, WINDOW

__all__ = ["MATCH_FUNCTION"]

CANDIDATES = 1 + len(NEIGHBOURS) + len(AROUND)
SAMPLES = len(WINDOW) ** 2
DISALLOWED = "3e38"  # cost of an offset that may not be chosen: above every other


def _numbers(name: str, shape: tuple[int, ...], values: list[int]) -> str:
    listed, sides = ", ".join(str(n) for n in values), ", ".join(str(n) for n in shape)
    return f"{name} = Constant <value = int64[{sides}] {{{listed}}}> ()"


def _neighbours(name: str, down: str, across: str) -> str:
    """The patches so far from each, ``NAME`` [4, N], and whether they are hole patches, ``NAME_ok`` [B, 4, N]."""
    return f"""
        {name}_row = Add (row, {down})
        {name}_column = Add (column, {across})
        {name}_row_above = Max ({name}_row, zero_number)
        {name}_column_above = Max ({name}_column, zero_number)
        {name}_row_in = Min ({name}_row_above, last_row)
        {name}_column_in = Min ({name}_column_above, last_column)
        {name}_row_exists = Equal ({name}_row, {name}_row_in)
        {name}_column_exists = Equal ({name}_column, {name}_column_in)
        {name}_exists = And ({name}_row_exists, {name}_column_exists)
        {name}_start = Mul ({name}_row_in, columns)
        {name} = Add ({name}_start, {name}_column_in)
        {name}_hole = Gather <axis = 1> (is_hole, {name})
        {name}_ok = And ({name}_exists, {name}_hole)"""


# A sweep computes the costs of all candidates of all patches, [B, candidates, N]; patches outside the hole throw theirs
# away.
MATCH_FUNCTION = f"""
<domain: "{DOMAIN}", opset_import: ["" : {OPSET}]>
PatchMatch <steps> (features, valid, offset, share) => (matched, cost)
{{
    steps_of_sweeps = Constant <value_ints: ints = @steps> ()
    disallowed = Constant <value_float = {DISALLOWED}> ()
    zero = Constant <value_float = 0.0> ()
    zero_number = Constant <value_int = 0> ()
    one = Constant <value_int = 1> ()
    side = Constant <value_int = {PATCH}> ()
    one_1d = Constant <value_ints = [1]> ()
    two_1d = Constant <value_ints = [2]> ()
    three_1d = Constant <value_ints = [3]> ()
    last_1d = Constant <value_ints = [-1]> ()
    flat_shape = Constant <value_ints = [0, -1]> ()
    planes_shape = Constant <value_ints = [0, 0, -1]> ()
    moves_shape = Constant <value_ints = [0, 2, -1]> ()
    costs_shape = Constant <value_ints = [0, {CANDIDATES}, {SAMPLES}, -1]> ()
    {_numbers("down", (4, 1), [up for up, _ in NEIGHBOURS])}
    {_numbers("across", (4, 1), [left for _, left in NEIGHBOURS])}
    {_numbers("around", (2, 8, 1), [step[axis] for axis in range(2) for step in AROUND])}
    {_numbers("window_y", (SAMPLES, 1), [up for up in WINDOW for _ in WINDOW])}
    {_numbers("window_x", (SAMPLES, 1), [left for _ in WINDOW for left in WINDOW])}

    height_1d = Shape <start = 2, end = 3> (features)
    width_1d = Shape <start = 3, end = 4> (features)
    rows_1d = Shape <start = 2, end = 3> (share)
    columns_1d = Shape <start = 3, end = 4> (share)
    height = Squeeze (height_1d)
    width = Squeeze (width_1d)
    rows = Squeeze (rows_1d)
    columns = Squeeze (columns_1d)
    patches = Mul (rows, columns)
    last_y = Sub (height, one)
    last_x = Sub (width, one)
    last_patch_y = Sub (height, side)
    last_patch_x = Sub (width, side)
    last_row = Sub (rows, one)
    last_column = Sub (columns, one)
    number = Range (zero_number, patches, one)
    row = Div (number, columns)
    row_start = Mul (row, columns)
    column = Sub (number, row_start)
    y = Mul (row, side)
    x = Mul (column, side)

    share_row = Reshape (share, flat_shape)
    is_hole = Greater (share_row, zero)
    is_hole_plane = Unsqueeze (is_hole, one_1d)
    valid_row = Reshape (valid, flat_shape)
    is_valid = Greater (valid_row, zero)
    own_ok_shape = Shape (is_hole_plane)
    own_ok = ConstantOfShape <value = bool[1] {{1}}> (own_ok_shape)

    # What is around every patch, [B, 1, samples, N, C].
    values = Cast <to = 1> (features)
    value_planes = Reshape (values, planes_shape)
    by_pixel = Transpose <perm = [0, 2, 1]> (value_planes)
    target_y = Add (y, window_y)
    target_x = Add (x, window_x)
    target_y_above = Max (target_y, zero_number)
    target_x_above = Max (target_x, zero_number)
    target_y_in = Min (target_y_above, last_y)
    target_x_in = Min (target_x_above, last_x)
    target_start = Mul (target_y_in, width)
    target_pixel = Add (target_start, target_x_in)
    target_samples = Gather <axis = 1> (by_pixel, target_pixel)
    target = Unsqueeze (target_samples, one_1d)
    channels_1d = Shape <start = 1, end = 2> (features)
    samples_shape = Concat <axis = 0> (costs_shape, channels_1d)
    sample_axes = Constant <value_ints = [2, 4]> ()

    # The four patches beside each.
    {_neighbours("beside", "down", "across")}
    beside_counts = Unsqueeze (beside_ok, one_1d)
    alone = Constant <value_float = 1.0> ()
    coherence = Constant <value_float = {COHERENCE}> ()
    near_end = Constant <value_ints = [{1 + len(NEIGHBOURS)}]> ()
    moved_end = Constant <value_ints = [{CANDIDATES}]> ()

    start_moves = Cast <to = 7> (offset)
    start = Reshape (start_moves, moves_shape)
    nothing_yet = Cast <to = 1> (is_hole_plane)
    sweeps = Size (steps_of_sweeps)
    go_on = Constant <value = bool {{1}}> ()
    last, last_cost = Loop (sweeps, go_on, start, nothing_yet) <body = sweep
        (int64 t, bool more, int64[B, TWO, N] chosen, float[B, ONE, N] cost_before)
        => (bool more_out, int64[B, TWO, N] chosen_out, float[B, ONE, N] cost_out)
    {{
        more_out = Identity (more)
        step = Gather (steps_of_sweeps, t)
        own = Unsqueeze (chosen, two_1d)
        far_down = Mul (down, step)
        far_across = Mul (across, step)
        {_neighbours("near", "far_down", "far_across")}
        near_moves = Gather <axis = 2> (chosen, near)
        far_around = Mul (around, step)
        own_moved = Add (own, far_around)
        candidates = Concat <axis = 2> (own, near_moves, own_moved)

        row_moves_apart, column_moves_apart = Split <axis = 1, num_outputs = 2> (candidates)
        row_moves = Squeeze (row_moves_apart, one_1d)
        column_moves = Squeeze (column_moves_apart, one_1d)
        from_y = Add (row_moves, y)
        from_x = Add (column_moves, x)
        from_y_above = Max (from_y, zero_number)
        from_x_above = Max (from_x, zero_number)
        from_y_in = Min (from_y_above, last_patch_y)
        from_x_in = Min (from_x_above, last_patch_x)
        is_inside_y = Equal (from_y, from_y_in)
        is_inside_x = Equal (from_x, from_x_in)
        is_inside = And (is_inside_y, is_inside_x)
        from_start = Mul (from_y_in, width)
        from_pixel = Add (from_start, from_x_in)
        from_shape = Shape (from_pixel)
        from_flat = Reshape (from_pixel, flat_shape)
        valid_flat = GatherElements <axis = 1> (is_valid, from_flat)
        from_valid = Reshape (valid_flat, from_shape)
        leads_to_valid = And (is_inside, from_valid)
        near_leads = Slice (leads_to_valid, one_1d, near_end, one_1d)
        moved_ok = Slice (leads_to_valid, near_end, moved_end, one_1d)
        near_leads_ok = And (near_leads, near_ok)
        ok = Concat <axis = 1> (own_ok, near_leads_ok, moved_ok)

        from_y_apart = Unsqueeze (from_y, two_1d)
        from_x_apart = Unsqueeze (from_x, two_1d)
        source_y = Add (from_y_apart, window_y)
        source_x = Add (from_x_apart, window_x)
        source_y_above = Max (source_y, zero_number)
        source_x_above = Max (source_x, zero_number)
        source_y_in = Min (source_y_above, last_y)
        source_x_in = Min (source_x_above, last_x)
        source_start = Mul (source_y_in, width)
        source_pixel = Add (source_start, source_x_in)
        source_flat = Reshape (source_pixel, flat_shape)
        source_index = Unsqueeze (source_flat, last_1d)
        source_values = GatherND <batch_dims = 1> (by_pixel, source_index)
        source = Reshape (source_values, samples_shape)
        difference = Sub (source, target)
        costs = ReduceSumSquare <keepdims = 0> (difference, sample_axes)

        # How many patches beside have the offset of a candidate, [B, candidates, N].
        beside_moves = Gather <axis = 2> (chosen, beside)
        beside_of_all = Unsqueeze (beside_moves, two_1d)
        candidate_of_all = Unsqueeze (candidates, three_1d)
        agrees_apart = Equal (candidate_of_all, beside_of_all)
        row_agrees_apart, column_agrees_apart = Split <axis = 1, num_outputs = 2> (agrees_apart)
        both_agree_apart = And (row_agrees_apart, column_agrees_apart)
        both_agree = Squeeze (both_agree_apart, one_1d)
        agrees = And (both_agree, beside_counts)
        agreeing = Cast <to = 1> (agrees)
        agreement = ReduceSum <keepdims = 0> (agreeing, two_1d)
        agreement_counts = Mul (agreement, coherence)
        parts = Add (agreement_counts, alone)
        scores = Div (costs, parts)
        allowed_scores = Where (ok, scores, disallowed)
        winner = ArgMin <axis = 1, keepdims = 1> (allowed_scores)
        winner_of_axis = Unsqueeze (winner, one_1d)
        winner_of_both = Concat <axis = 1> (winner_of_axis, winner_of_axis)
        choice_apart = GatherElements <axis = 2> (candidates, winner_of_both)
        choice = Squeeze (choice_apart, two_1d)
        least = GatherElements <axis = 1> (costs, winner)
        chosen_out = Where (is_hole_plane, choice, chosen)
        cost_out = Where (is_hole_plane, least, zero)
    }}>
    matched_number = Cast <to = 6> (last)
    offset_shape = Shape (offset)
    matched = Reshape (matched_number, offset_shape)
    share_shape = Shape (share)
    cost = Reshape (last_cost, share_shape)
}}
"""
