"""The graphs of the project's operators: ``search``, ``refine`` and ``replace``.

The operators stand in them as ONNX functions of standard operators with static shapes, for engines that have neither
the plugin nor the numpy code of the CPU backends. The functions compute all N x N logits, the costs of all patches and
all pixels: simple, and several times the work of either.
"""

from __future__ import annotations

import onnx

from export.graphs import DOMAIN, IR_VERSION, OPSET
from export.match_function import MATCH_FUNCTION
from export.replace_function import REPLACE_FUNCTION
from export.search_function import SEARCH_FUNCTION
from iic_rt.bundle.manifest import OPERATORS_VERSION
from iic_rt.patches import MATCH_STEPS, SearchOptions
from iic_rt.resampling import BASE_REACH, guide_taps

__all__ = ["PATCH_HEAD", "PLUGIN", "build_refine", "build_replace", "build_search", "parsed", "typed"]

PATCH_HEAD = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}, "{DOMAIN}" : {OPERATORS_VERSION}]>'
PLUGIN = f'plugin_namespace = "{DOMAIN}", plugin_version = "{OPERATORS_VERSION}"'  # attributes of every operator

SEARCH = f"""{PATCH_HEAD}
search (TYPE[1, patches, descriptor] q, float[1, rows, columns] hole, float[1, rows, columns] weight)
    => (int32[1, best, 2, rows, columns] offset, float[1, best, rows, columns] share)
{{
    offset, share = {DOMAIN}.PatchSearch <best = BEST, scale = SCALE, {PLUGIN}> (q, hole, weight)
}}
"""

TAPS = ", ".join(repr(float(tap)) for tap in guide_taps())
REACH, PADS = 2 * BASE_REACH + 1, ", ".join(4 * [str(BASE_REACH)])
BORDER = ", ".join(str(n) for n in 2 * (0, 0, BASE_REACH, BASE_REACH))
MATCH = f"{DOMAIN}.PatchMatch <steps = {list(MATCH_STEPS)}, {PLUGIN}>"
COPY = f"{DOMAIN}.PatchReplace <{PLUGIN}>"

# The planes of the picture are blurred as a batch, so that the taps are there once.
REFINE = f"""{PATCH_HEAD}
refine (float[1, 3, padded_height, padded_width] low, float[1, 1, height, width] m, float[1, height, width] valid,
        int32[1, 1, 2, rows, columns] offset, float[1, 1, rows, columns] share)
    => (float[1, 3, padded_height, padded_width] refined, int32[1, 1, 2, rows, columns] matched)
<float[1, 1, {len(guide_taps())}, 1] tall_taps = {{{TAPS}}}, float[1, 1, 1, {len(guide_taps())}] wide_taps = {{{TAPS}}},
 int64[2] first = {{{BASE_REACH}, {BASE_REACH}}}, int64[2] end = {{-{BASE_REACH}, -{BASE_REACH}}},
 int64[2] sides = {{2, 3}}, int64[8] border = {{{BORDER}}}, float unit = {{1}}>
{{
    inner = Slice (low, first, end, sides)
    low_planes = Transpose <perm = [1, 0, 2, 3]> (low)
    blurred_rows = Conv (low_planes, tall_taps)
    blurred = Conv (blurred_rows, wide_taps)
    guide = Transpose <perm = [1, 0, 2, 3]> (blurred)
    matched_roughly, rough_cost = {MATCH} (guide, valid, offset, share)
    copied_roughly, rough_missing = {COPY} (inner, m, matched_roughly, share)
    features = Concat <axis = 1> (copied_roughly, guide)
    matched, cost = {MATCH} (features, valid, matched_roughly, share)
    copied, missing = {COPY} (inner, m, matched, share)
    inside_share = AveragePool <kernel_shape = [{REACH}, {REACH}], pads = [{PADS}]> (m)
    inside_doubled = Add (inside_share, inside_share)
    depth = Sub (inside_doubled, unit)
    weight = Relu (depth)
    change = Sub (copied, inner)
    weighed = Mul (change, weight)
    softly = Add (inner, weighed)
    refined = Pad <mode = "edge"> (softly, border)
}}
"""

REPLACE = f"""{PATCH_HEAD}
replace (TYPE[1, channels, height, width] detail, TYPE[1, 1, height, width] inside,
         int32[1, best, 2, rows, columns] offset, float[1, best, rows, columns] share)
    => (TYPE[1, channels, height, width] mixed, TYPE[1, 1, height, width] missing)
{{
    mixed, missing = {COPY} (detail, inside, offset, share)
}}
"""


def build_search(options: SearchOptions, dtype: str = "float32") -> onnx.ModelProto:
    """The ``search`` graph; ``dtype`` of q, float32 or float16. Shapes are in ``export.upsample_graphs``."""
    text = SEARCH.replace("BEST", str(options.best)).replace("SCALE", repr(float(options.scale)))
    return parsed(typed(text, dtype), SEARCH_FUNCTION)


def build_refine() -> onnx.ModelProto:
    """The ``refine`` graph, for every size; the same in every precision."""
    return parsed(REFINE, MATCH_FUNCTION, REPLACE_FUNCTION)


def build_replace(dtype: str = "float32") -> onnx.ModelProto:
    """The ``replace`` graph; ``dtype`` of detail, inside, mixed and missing, float32 or float16."""
    return parsed(typed(REPLACE, dtype), REPLACE_FUNCTION)


def parsed(text: str, *functions: str) -> onnx.ModelProto:
    """The graph of a text with the functions that it calls."""
    model = onnx.parser.parse_model(text + "".join(functions))
    onnx.checker.check_model(model, full_check=True)
    return model


def typed(text: str, dtype: str) -> str:
    """A graph's text with the type it leaves open: ``TYPE``, and ``TYPE_NUMBER`` for the argument of a Cast."""
    name, number = {"float32": ("float", 1), "float16": ("float16", 10)}[dtype]
    return text.replace("TYPE_NUMBER", str(number)).replace("TYPE", name)
