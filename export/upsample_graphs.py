"""The five graphs of guided upsampling: ``similarity``, ``search``, ``features``, ``replace`` and ``to_rgb``.

They are cut where the runtime needs a seam. ``search`` comes first, so that ``features`` is computed where a patch is
copied from or seen alone. ``features`` and ``to_rgb`` work on tiles of a large region, so that no graph holds every
intermediate of a large photograph; there the host copies the patches. Where memory is no matter, one tile is the
region. S = s * factor is the side of the region, s that of the loop, p = 4 * factor that of a patch, N = (s / 4)^2; h
and w are the sides of a tile, r and c its patches.

==========  =====================  ====================================================================
similarity
==========  =====================  ====================================================================
y           [1, 3, s, s]           float32 in about [-1, 1], the loop's result
m           [1, 1, s, s]           float32 in {0, 1}, what it has filled
q           [1, N, 76]             float32, descriptors of unit length, patches row by row
low         [1, 3, s + 6, s + 6]   float32, y in [-1, 1] with its border repeated three times
search
q           [1, N, 76]             float32
hole        [1, s/4, s/4]          float32 in {0, 1}, patches to replace
weight      [1, s/4, s/4]          float32, ``iic_rt.patches.patch_weights``
source      [1, best, s/4, s/4]    int32, numbers of the patches to copy
share       [1, best, s/4, s/4]    float32, of each of them; 0 = nothing is copied
features
image       [h, w, 3]              uint8, RGB
unknown     [h, w]                 uint8, nonzero = not to be looked at
low         [1, 3, 4r + 6, 4c + 6] float32, the tile's part of ``low``
weights     [p, 10]                float32, ``iic_rt.resampling.base_weights``
features    [1, 16, h/2, w/2]      float32, the last feature map
inside      [1, 1, h/2, w/2]       float32 in {0, 1}, cells with an unknown pixel
replace
features    [1, 16, h/2, w/2]      float32
inside      [1, 1, h/2, w/2]       float32 in {0, 1}
source      [1, best, s/4, s/4]    int32
share       [1, best, s/4, s/4]    float32
mixed       [1, 16, h/2, w/2]      float32, the hole's cells copied
missing     [1, 1, h/2, w/2]       float32 in {0, 1}, cells inside that nothing was copied to
to_rgb
mixed       [1, 16, h/2, w/2]      float32
low         as in features
weights     as in features
image       as in features
hole        [h, w]                 uint8, nonzero = filled
order       [C, 3]                 float32, makes the image's channels of RGB
keep        [C, 1, 1]              float32 in {0, 1}, 1 = this channel stays as it is
filled      [h, w, C]              uint8, ``image`` with its hole filled
==========  =====================  ====================================================================

In FP16 q, features, inside, mixed and missing are float16, the rest is as above: the networks compute in FP16; the
base, the weights of cells and the last sum in front of the bytes in float32.
"""

from __future__ import annotations

import onnx
import torch
from onnx import compose
from torch import Tensor, nn

from export.graphs import InHalf, export_module, store_weights_as_fp16
from export.patch_graphs import build_replace, build_search, typed
from export.pixel_graphs import BASE, BASE_CONSTANTS, HEAD, TAPS, TO_RGB, composite_text
from iic_rt.patches import SearchOptions
from iic_rt.resampling import BASE_REACH
from training.model.upsampler import GuidedUpsampler, ReconstructionNetwork, SimilarityNetwork

__all__ = ["build_upsample_graphs", "search_options"]

BEST, SWEEPS = 1, 4
COHERENCE = 0.2  # of the cosine

INPUTS = f"""{HEAD}
inputs (uint8[h, S, C] image, uint8[h, S] visible, float[1, 3, a, b] low, float[p, {TAPS}] weights, float[3, C] order)
    => (float[1, 3, h, S] detail, float[1, 3, h, S] base, float[1, 1, h, S] unknown,
        TYPE[1, 1, half_h, half_S] inside)
<{BASE_CONSTANTS}, float half_range = {{127.5}}, float zero = {{0}}, float unit = {{1}}, int64[2] front = {{0, 1}}>
{{
    {BASE}
    {TO_RGB}
    visible_values = Cast <to = 1> (visible)
    is_visible = Greater (visible_values, zero)
    known_plane = Cast <to = 1> (is_visible)
    known = Unsqueeze (known_plane, front)
    unknown = Sub (unit, known)
    inside_float = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (unknown)
    inside = Cast <to = TYPE_NUMBER> (inside_float)
    scaled = Div (rgb, half_range)
    centred = Sub (scaled, unit)
    difference = Sub (centred, base)
    detail = Mul (difference, known)
}}
"""

OUTPUT = composite_text("output", "float[1, 3, h, S] detail, ", "picture = Add (base, detail)")


class Similarity(nn.Module):
    """The similarity network on the loop's result without its repeated border."""

    def __init__(self, network: SimilarityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, low: Tensor, m: Tensor) -> Tensor:
        return self.network(low[:, :, BASE_REACH:-BASE_REACH, BASE_REACH:-BASE_REACH], m)  # type: ignore[no-any-return]


class ToRGB(nn.Module):
    """The layers behind the patch replacement."""

    def __init__(self, network: ReconstructionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, mixed: Tensor) -> Tensor:
        return self.network.to_rgb(mixed)


def build_upsample_graphs(upsampler: GuidedUpsampler, precision: str = "fp32") -> dict[str, onnx.ModelProto]:
    """The graphs by name, for every size, in ``"fp32"`` or ``"fp16"``; shapes and dtypes are in the module's text.

    In both the weights are stored as FP16; in FP32 they are cast when the graph is loaded.
    """
    half = precision == "fp16"
    dtype = "float16" if half else "float32"

    def network(module: nn.Module, out: torch.dtype) -> nn.Module:
        return InHalf(module, out=out) if half else module

    def dims(multiple: int) -> dict[int, object]:
        return {2: multiple * torch.export.Dim("height", min=4), 3: multiple * torch.export.Dim("width", min=4)}

    size = dims(8)
    padded = {axis: length + 2 * BASE_REACH for axis, length in size.items()}
    similarity = export_module(
        Similarity(network(upsampler.similarity, torch.float16)).eval(),
        (torch.zeros(1, 3, 64 + 2 * BASE_REACH, 96 + 2 * BASE_REACH), torch.zeros(1, 1, 64, 96)),
        ["low", "m"],
        ["q"],
        {"low": padded, "m": size},
    )
    for axis, name in ((2, "padded_height"), (3, "padded_width")):
        similarity.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    similarity.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "patches"
    encoder = export_module(
        network(upsampler.reconstruction, torch.float16).eval(),
        (torch.zeros(1, 3, 64, 96), torch.zeros(1, 3, 64, 96), torch.zeros(1, 1, 64, 96)),
        ["detail", "base", "unknown"],
        ["features"],
        dict.fromkeys(("detail", "base", "unknown"), dims(4)),
    )
    decoder = export_module(
        network(ToRGB(upsampler.reconstruction), torch.float32).eval(),
        (torch.zeros(1, 16, 64, 96, dtype=getattr(torch, dtype)),),
        ["mixed"],
        ["detail"],
        {"mixed": dims(2)},
    )
    names = ("detail", "base", "unknown")
    inputs = onnx.parser.parse_model(typed(INPUTS, dtype))
    features = _join(inputs, encoder, [(n, n) for n in names], ["features", "inside"], "features")
    to_rgb = _join(decoder, onnx.parser.parse_model(OUTPUT), [("detail", "detail")], ["filled"], "to_rgb")
    for model in (similarity, features, to_rgb):
        if not half:
            store_weights_as_fp16(model)
        onnx.checker.check_model(model, full_check=True)
    search = build_search(search_options(upsampler), dtype)
    replace = build_replace(dtype)
    return {"similarity": similarity, "search": search, "features": features, "replace": replace, "to_rgb": to_rgb}


def search_options(upsampler: GuidedUpsampler) -> SearchOptions:
    """How ``search`` chooses; ``benchmarks.search`` measures what it costs to choose otherwise."""
    scale = float(upsampler.scale)
    return SearchOptions(best=BEST, scale=scale, coherence=COHERENCE * scale, sweeps=SWEEPS)


def _join(
    first: onnx.ModelProto, second: onnx.ModelProto, joints: list[tuple[str, str]], outputs: list[str], name: str
) -> onnx.ModelProto:
    """``second`` behind ``first``, tensors of the same name joined, inner names of the first prefixed."""
    keep = {i.name for i in first.graph.input} | {o.name for o in first.graph.output}
    renamed = compose.add_prefix(first, "a_")
    for node in renamed.graph.node:
        for tensors in (node.input, node.output):
            for i, tensor in enumerate(tensors):
                tensors[i] = tensor.removeprefix("a_") if tensor.removeprefix("a_") in keep else tensor
    for value in (*renamed.graph.input, *renamed.graph.output):
        value.name = value.name.removeprefix("a_")
    model = compose.merge_models(renamed, second, io_map=joints, outputs=outputs, name=name)
    opset = model.opset_import[0]
    del model.opset_import[:]
    model.opset_import.append(opset)
    return model
