"""The graphs of guided upsampling; ``export.patch_graphs`` has those of the project's operators.

They are cut where the runtime needs a seam. ``search`` and ``refine`` come before ``detail``, so that it is computed
where a patch is copied from alone. ``refine`` moves what is copied to where it fits better, and copies it into the
loop's result as well, so that the base in the hole is that of real patches. ``detail`` and ``add_detail`` work on tiles
of a large region, so that no graph holds every intermediate of a large photograph; there the host copies the patches.
Where memory is no matter, one tile is the region. S = s * factor is the side of the region, s that of the loop,
p = 4 * factor that of a patch, N = (s / 4)^2; h and w are the sides of a tile, r and c its patches.

==========  ========================  =================================================================
similarity
==========  ========================  =================================================================
low         [1, 3, s + 12, s + 12]    float32, the loop's result in [-1, 1], its border repeated six times
m           [1, 1, s, s]              float32 in {0, 1}, what it has filled
q           [1, N, 76]                float32, descriptors of unit length, patches row by row
search
q           [1, N, 76]                float32
hole        [1, s/4, s/4]             float32 in {0, 1}, patches to replace
weight      [1, s/4, s/4]             float32, ``iic_rt.patches.patch_weights``
offset      [1, 1, 2, s/4, s/4]       int32, from each hole patch to the one it copies, in quarters of a patch
share       [1, 1, s/4, s/4]          float32 in {0, 1}; 0 = nothing is copied
refine
low         [1, 3, s + 12, s + 12]    float32, as in similarity
m           [1, 1, s, s]              float32 in {0, 1}, as in similarity
valid       [1, s, s]                 float32 in {0, 1}, ``iic_rt.patches.match_places``
offset      [1, 1, 2, s/4, s/4]       int32
share       [1, 1, s/4, s/4]          float32
refined     [1, 3, s + 12, s + 12]    float32, ``low`` with copied pixels inside ``m``
matched     [1, 1, 2, s/4, s/4]       int32, ``offset`` moved
detail
image       [h, w, C]                 uint8
visible     [h, w]                    uint8, 0 = not to be looked at
low         [1, 3, 4r + 12, 4c + 12]  float32, the tile's part of ``refined``
weights     [p, 16]                   float32, ``iic_rt.resampling.base_weights``
order       [3, C]                    float32, makes RGB of the image's channels
detail      [1, 3, h, w]              float32, the image in [-1, 1] minus the base; 0 where nothing is visible
inside      [1, 1, h, w]              float32 in {0, 1}, pixels that are not visible
replace
detail      [1, 3, h, w]              float32
inside      [1, 1, h, w]              float32 in {0, 1}
offset      [1, 1, 2, s/4, s/4]       int32, ``matched``
share       [1, 1, s/4, s/4]          float32
mixed       [1, 3, h, w]              float32, copied inside
missing     [1, 1, h, w]              float32 in {0, 1}, pixels inside that nothing was copied to
add_detail
mixed       [1, 3, h, w]              float32
low         as in detail
weights     as in detail
image       as in detail
hole        [h, w]                    uint8, nonzero = filled
order       [C, 3]                    float32, makes the image's channels of RGB
keep        [C, 1, 1]                 float32 in {0, 1}, 1 = this channel stays as it is
filled      [h, w, C]                 uint8, ``image`` with its hole filled
==========  ========================  =================================================================

In FP16 q, detail, inside, mixed and missing are float16, the rest is as above: the network computes in FP16; the costs
of ``refine``, the base, the weights of pixels and the last sum in front of the bytes in float32.
"""

from __future__ import annotations

import onnx
import torch
from torch import Tensor, nn

from export.graphs import InHalf, export_module, store_weights_as_fp16
from export.patch_graphs import build_replace, build_search, typed
from export.pixel_graphs import BASE, BASE_CONSTANTS, HEAD, TAPS, TO_RGB, composite_text
from iic_rt.patches import SearchOptions
from iic_rt.resampling import BASE_REACH
from training.model.upsampler import GuidedUpsampler

__all__ = ["build_upsample_graphs", "search_options"]

BEST = 1  # patch of each hole patch; ``refine`` takes no more

DETAIL = f"""{HEAD}
detail (uint8[h, S, C] image, uint8[h, S] visible, float[1, 3, a, b] low, float[p, {TAPS}] weights, float[3, C] order)
    => (TYPE[1, 3, h, S] detail, TYPE[1, 1, h, S] inside)
<{BASE_CONSTANTS}, float half_range = {{127.5}}, float zero = {{0}}, float unit = {{1}}, int64[2] front = {{0, 1}}>
{{
    {BASE}
    {TO_RGB}
    visible_values = Cast <to = 1> (visible)
    is_visible = Greater (visible_values, zero)
    known_plane = Cast <to = 1> (is_visible)
    known = Unsqueeze (known_plane, front)
    unknown = Sub (unit, known)
    inside = Cast <to = TYPE_NUMBER> (unknown)
    scaled = Div (rgb, half_range)
    centred = Sub (scaled, unit)
    difference = Sub (centred, base)
    known_difference = Mul (difference, known)
    detail = Cast <to = TYPE_NUMBER> (known_difference)
}}
"""

ADD_DETAIL = composite_text(
    "add_detail",
    "TYPE[1, 3, h, S] mixed, ",
    "mixed_values = Cast <to = 1> (mixed)\n    picture = Add (base, mixed_values)",
)


class Similarity(nn.Module):
    """The similarity network on the loop's result without its repeated border."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, low: Tensor, m: Tensor) -> Tensor:
        return self.network(low[:, :, BASE_REACH:-BASE_REACH, BASE_REACH:-BASE_REACH], m)  # type: ignore[no-any-return]


def build_upsample_graphs(upsampler: GuidedUpsampler, precision: str = "fp32") -> dict[str, onnx.ModelProto]:
    """The graphs that differ with the precision, by name, for every size; ``refine`` is the same in both.

    Args:
        upsampler: the network.
        precision: ``"fp32"`` or ``"fp16"``; shapes and dtypes are in the module's text.

    In both the weights are stored as FP16; in FP32 they are cast when the graph is loaded.
    """
    half = precision == "fp16"
    dtype = "float16" if half else "float32"

    size: dict[int, object] = {2: 8 * torch.export.Dim("height", min=4), 3: 8 * torch.export.Dim("width", min=4)}
    padded = {axis: length + 2 * BASE_REACH for axis, length in size.items()}  # type: ignore[operator]
    network = upsampler.similarity
    similarity = export_module(
        Similarity(InHalf(network, out=torch.float16) if half else network).eval(),
        (torch.zeros(1, 3, 64 + 2 * BASE_REACH, 96 + 2 * BASE_REACH), torch.zeros(1, 1, 64, 96)),
        ["low", "m"],
        ["q"],
        {"low": padded, "m": size},
    )
    for axis, name in ((2, "padded_height"), (3, "padded_width")):
        similarity.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    similarity.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "patches"
    if not half:
        store_weights_as_fp16(similarity)
    detail, add_detail = (onnx.parser.parse_model(typed(text, dtype)) for text in (DETAIL, ADD_DETAIL))
    for model in (similarity, detail, add_detail):
        onnx.checker.check_model(model, full_check=True)
    search, replace = build_search(search_options(upsampler), dtype), build_replace(dtype)
    return {"similarity": similarity, "search": search, "detail": detail, "replace": replace, "add_detail": add_detail}


def search_options(upsampler: GuidedUpsampler) -> SearchOptions:
    """How ``search`` chooses."""
    return SearchOptions(best=BEST, scale=float(upsampler.scale))
