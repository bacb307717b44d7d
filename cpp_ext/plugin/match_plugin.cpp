#include "match_plugin.h"

#include <algorithm>
#include <iterator>
#include <new>

#include "attributes.h"
#include "logger.h"

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace iic {
namespace {

enum Size : int { kB, kC, kHeight, kWidth, kRows, kColumns };

constexpr Signature kSignature{
    "PatchMatch",
    "4 inputs (features, valid, offset, share) and 2 outputs (matched, cost)",
    4,
    {{"features", Kind::kT, "[B, C, h, w]", 4, {kB, kC, kHeight, kWidth}},
        {"valid", Kind::kFloat32, "[B, h, w]", 3, {kB, kHeight, kWidth}},
        {"offset", Kind::kInt32, "[B, 1, 2, rows, columns]", 5, {kB, fixedTo(1), fixedTo(2), kRows, kColumns}},
        {"share", Kind::kFloat32, "[B, 1, rows, columns]", 4, {kB, fixedTo(1), kRows, kColumns}}},
    {Kind::kInt32, Kind::kFloat32},
    6,
    {"B", "C", "h", "w", "rows", "columns"},
};

constexpr const char* kSteps = "steps";

PatchMatchSizes sizesOf(const Extents& e, DataType type) noexcept {
    return {e[kB], e[kC], e[kRows], e[kColumns], type};
}

// Whether the pixels of an axis are those of its patches, as far as both are known; logs where they are not.
bool pixelsFit(const Extents& e, Size pixels, Size patches) noexcept {
    const std::int64_t all = e.size[pixels];
    const std::int64_t count = e.size[patches];
    if (all != kUnknown && count != kUnknown && all != kMatchPatch * count) {
        logError(kSignature.name, "%s is %lld and there are %lld %s of patches; allowed is %d times as many",
            kSignature.sizeNames[pixels], static_cast<long long>(all), static_cast<long long>(count),
            kSignature.sizeNames[patches], kMatchPatch);
        return false;
    }
    return true;
}

bool attributesAllowed(const char* layer, const MatchAttributes& a) noexcept {
    const std::int32_t least = *std::min_element(a.steps, a.steps + a.sweeps);
    if (least < 1) {
        logError(kSignature.name, "attribute steps of layer '%s' holds %d; allowed is 1 or more", layer, least);
        return false;
    }
    return true;
}

}  // namespace

PatchMatchPlugin::PatchMatchPlugin(const MatchAttributes& attributes) noexcept
    : OperatorPlugin(kSignature),
      attributes_(attributes),
      field_{kSteps, attributes_.steps, PluginFieldType::kINT32, attributes_.sweeps},
      collection_{1, &field_} {}

nvinfer1::IPluginV3* PatchMatchPlugin::clone() noexcept {
    auto* copy = new (std::nothrow) PatchMatchPlugin(attributes_);
    if (copy == nullptr) {
        logError(kSignature.name, "no host memory for a copy of the layer");
    }
    return copy;
}

bool PatchMatchPlugin::sizesFit(const Extents& e) const noexcept {
    return pixelsFit(e, kHeight, kRows) && pixelsFit(e, kWidth, kColumns);
}

bool PatchMatchPlugin::kernelsTake(const Extents& e, DataType type) const noexcept {
    if (workspaceFor(e, type) == 0) {
        logError(kSignature.name, "B %d, C %d, %d rows, %d columns is more than the kernel takes; make B or the image "
            "smaller", e[kB], e[kC], e[kRows], e[kColumns]);
        return false;
    }
    return true;
}

std::size_t PatchMatchPlugin::workspaceFor(const Extents& most, DataType type) const noexcept {
    return patchMatchWorkspaceSize(sizesOf(most, type));
}

void PatchMatchPlugin::shapeOutputs(const nvinfer1::DimsExprs* inputs, nvinfer1::DimsExprs* outputs,
    nvinfer1::IExprBuilder& /*builder*/) const noexcept {
    outputs[0] = inputs[2];
    outputs[1] = inputs[3];
}

cudaError_t PatchMatchPlugin::launch(const Extents& extents, DataType type, const void* const* inputs,
    void* const* outputs, void* workspace, cudaStream_t stream) const noexcept {
    PatchMatchParams params{};
    params.features = inputs[0];
    params.valid = static_cast<const float*>(inputs[1]);
    params.offset = static_cast<const std::int32_t*>(inputs[2]);
    params.share = static_cast<const float*>(inputs[3]);
    params.matched = static_cast<std::int32_t*>(outputs[0]);
    params.cost = static_cast<float*>(outputs[1]);
    params.sizes = sizesOf(extents, type);
    params.sweeps = attributes_.sweeps;
    std::copy(std::begin(attributes_.steps), std::end(attributes_.steps), params.steps);
    return patchMatch(params, workspace, workspaceFor(extents, type), stream);
}

nvinfer1::IPluginV3* PatchMatchCreator::createPlugin(const char* layerName,
    const nvinfer1::PluginFieldCollection* fields, nvinfer1::TensorRTPhase /*phase*/) noexcept {
    const char* layer = layerName != nullptr ? layerName : "";
    MatchAttributes attributes{};
    attributes.sweeps = readAttribute(kSignature.name, layer, fields, kSteps, attributes.steps, kMostSweeps);
    if (attributes.sweeps == 0 || !attributesAllowed(layer, attributes)) {
        return nullptr;
    }
    auto* plugin = new (std::nothrow) PatchMatchPlugin(attributes);
    if (plugin == nullptr) {
        logError(kSignature.name, "no host memory for layer '%s'", layer);
    }
    return plugin;
}

const nvinfer1::PluginFieldCollection* PatchMatchCreator::getFieldNames() noexcept {
    static const PluginField field{kSteps, nullptr, PluginFieldType::kINT32, kMostSweeps};
    static const nvinfer1::PluginFieldCollection collection{1, &field};
    return &collection;
}

const char* PatchMatchCreator::getPluginName() const noexcept { return kSignature.name; }

}  // namespace iic
