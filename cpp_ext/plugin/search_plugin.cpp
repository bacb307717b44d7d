#include "search_plugin.h"

#include <cmath>
#include <new>

#include "attributes.h"
#include "logger.h"
#include "patch_search.h"

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace iic {
namespace {

enum Size : int { kB, kN, kD, kRows, kColumns };

constexpr Signature kSignature{
    "PatchSearch",
    "3 inputs (q, hole, weight) and 2 outputs (offset, share)",
    3,
    {{"q", Kind::kT, "[B, N, D]", 3, {kB, kN, kD}},
        {"hole", Kind::kFloat32, "[B, rows, columns]", 3, {kB, kRows, kColumns}},
        {"weight", Kind::kFloat32, "[B, rows, columns]", 3, {kB, kRows, kColumns}}},
    {Kind::kInt32, Kind::kFloat32},
    5,
    {"B", "N", "D", "rows", "columns"},
};

constexpr int kAttributes = 2;
constexpr const char* kBest = "best";
constexpr const char* kScale = "scale";

bool attributesAllowed(const char* layer, const SearchAttributes& a) noexcept {
    if (a.best < 1 || a.best > kMostBest) {
        logError(kSignature.name, "attribute best of layer '%s' is %d; the kernels take 1 to %d", layer, a.best, kMostBest);
        return false;
    }
    if (!std::isfinite(a.scale)) {
        logError(kSignature.name, "attribute scale of layer '%s' is %g; allowed is any finite number", layer, a.scale);
        return false;
    }
    return true;
}

PatchSearchSizes sizesOf(const Extents& e, std::int32_t best, DataType type) noexcept {
    return {e[kB], e[kRows], e[kColumns], e[kD], best, type};
}

}  // namespace

PatchSearchPlugin::PatchSearchPlugin(const SearchAttributes& attributes) noexcept
    : OperatorPlugin(kSignature),
      attributes_(attributes),
      fields_{{kBest, &attributes_.best, PluginFieldType::kINT32, 1},
          {kScale, &attributes_.scale, PluginFieldType::kFLOAT32, 1}},
      collection_{kAttributes, fields_} {}

nvinfer1::IPluginV3* PatchSearchPlugin::clone() noexcept {
    auto* copy = new (std::nothrow) PatchSearchPlugin(attributes_);
    if (copy == nullptr) {
        logError(kSignature.name, "no host memory for a copy of the layer");
    }
    return copy;
}

bool PatchSearchPlugin::sizesFit(const Extents& e) const noexcept {
    const std::int64_t n = e.size[kN];
    const std::int64_t rows = e.size[kRows];
    const std::int64_t columns = e.size[kColumns];
    if (n != kUnknown && rows != kUnknown && columns != kUnknown && n != rows * columns) {
        logError(kSignature.name, "N of q is %lld, and hole has %lld rows and %lld columns; allowed is their product",
            static_cast<long long>(n), static_cast<long long>(rows), static_cast<long long>(columns));
        return false;
    }
    if (n != kUnknown && attributes_.best > n) {
        logError(kSignature.name, "best is %d and N is %lld; allowed is 1 to N", attributes_.best,
            static_cast<long long>(n));
        return false;
    }
    return true;
}

bool PatchSearchPlugin::kernelsTake(const Extents& e, DataType type) const noexcept {
    if (workspaceFor(e, type) == 0) {
        logError(kSignature.name, "B %d, %d rows, %d columns, D %d is more than the kernels take; make B or N smaller",
            e[kB], e[kRows], e[kColumns], e[kD]);
        return false;
    }
    return true;
}

std::size_t PatchSearchPlugin::workspaceFor(const Extents& most, DataType type) const noexcept {
    return patchSearchWorkspaceSize(sizesOf(most, attributes_.best, type));
}

void PatchSearchPlugin::shapeOutputs(const nvinfer1::DimsExprs* inputs, nvinfer1::DimsExprs* outputs,
    nvinfer1::IExprBuilder& builder) const noexcept {
    const nvinfer1::DimsExprs& hole = inputs[1];
    const nvinfer1::IDimensionExpr* best = builder.constant(attributes_.best);
    outputs[0] = {5, {hole.d[0], best, builder.constant(2), hole.d[1], hole.d[2]}};
    outputs[1] = {4, {hole.d[0], best, hole.d[1], hole.d[2]}};
}

cudaError_t PatchSearchPlugin::launch(const Extents& extents, DataType type, const void* const* inputs,
    void* const* outputs, void* workspace, cudaStream_t stream) const noexcept {
    PatchSearchParams params{};
    params.q = inputs[0];
    params.hole = static_cast<const float*>(inputs[1]);
    params.weight = static_cast<const float*>(inputs[2]);
    params.offset = static_cast<std::int32_t*>(outputs[0]);
    params.share = static_cast<float*>(outputs[1]);
    params.sizes = sizesOf(extents, attributes_.best, type);
    params.scale = attributes_.scale;
    return patchSearch(params, workspace, workspaceFor(extents, type), stream);
}

nvinfer1::IPluginV3* PatchSearchCreator::createPlugin(const char* layerName,
    const nvinfer1::PluginFieldCollection* fields, nvinfer1::TensorRTPhase /*phase*/) noexcept {
    const char* layer = layerName != nullptr ? layerName : "";
    SearchAttributes attributes{};
    if (readAttribute(kSignature.name, layer, fields, kBest, &attributes.best, 1) == 0
        || readAttribute(kSignature.name, layer, fields, kScale, &attributes.scale, 1) == 0
        || !attributesAllowed(layer, attributes)) {
        return nullptr;
    }
    auto* plugin = new (std::nothrow) PatchSearchPlugin(attributes);
    if (plugin == nullptr) {
        logError(kSignature.name, "no host memory for layer '%s'", layer);
    }
    return plugin;
}

const nvinfer1::PluginFieldCollection* PatchSearchCreator::getFieldNames() noexcept {
    static const PluginField fields[kAttributes] = {{kBest, nullptr, PluginFieldType::kINT32, 1},
        {kScale, nullptr, PluginFieldType::kFLOAT32, 1}};
    static const nvinfer1::PluginFieldCollection collection{kAttributes, fields};
    return &collection;
}

const char* PatchSearchCreator::getPluginName() const noexcept { return kSignature.name; }

}  // namespace iic
