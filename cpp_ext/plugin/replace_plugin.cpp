#include "replace_plugin.h"

#include <new>

#include "logger.h"
#include "patch_replace.h"

namespace iic {
namespace {

enum Size : int { kB, kC, kHeight, kWidth, kBest, kRows, kColumns };

constexpr Signature kSignature{
    "PatchReplace",
    "4 inputs (detail, inside, offset, share) and 2 outputs (mixed, missing)",
    4,
    {{"detail", Kind::kT, "[B, C, h, w]", 4, {kB, kC, kHeight, kWidth}},
        {"inside", Kind::kT, "[B, 1, h, w]", 4, {kB, fixedTo(1), kHeight, kWidth}},
        {"offset", Kind::kInt32, "[B, best, 2, rows, columns]", 5, {kB, kBest, fixedTo(2), kRows, kColumns}},
        {"share", Kind::kFloat32, "[B, best, rows, columns]", 4, {kB, kBest, kRows, kColumns}}},
    {Kind::kT, Kind::kT},
    7,
    {"B", "C", "h", "w", "best", "rows", "columns"},
};

const nvinfer1::PluginFieldCollection kNoFields{0, nullptr};

PatchReplaceSizes sizesOf(const Extents& e, DataType type) noexcept {
    return {e[kB], e[kC], e[kHeight], e[kWidth], e[kRows], e[kColumns], e[kBest], type};
}

// Pixels of a patch along one axis, kUnknown while a size is; logs where it is not a whole number of 2 or more.
bool pixelsOf(const Extents& e, Size pixels, Size patches, std::int64_t& p) noexcept {
    const std::int64_t all = e.size[pixels];
    const std::int64_t count = e.size[patches];
    p = all == kUnknown || count == kUnknown ? kUnknown : all / count;
    if (p != kUnknown && (p < 2 || p * count != all)) {
        logError(kSignature.name, "%s is %lld and there are %lld %s of patches; allowed is a multiple, 2 or more",
            kSignature.sizeNames[pixels], static_cast<long long>(all), static_cast<long long>(count),
            kSignature.sizeNames[patches]);
        return false;
    }
    return true;
}

}  // namespace

PatchReplacePlugin::PatchReplacePlugin() noexcept : OperatorPlugin(kSignature) {}

nvinfer1::IPluginV3* PatchReplacePlugin::clone() noexcept {
    auto* copy = new (std::nothrow) PatchReplacePlugin();
    if (copy == nullptr) {
        logError(kSignature.name, "no host memory for a copy of the layer");
    }
    return copy;
}

const nvinfer1::PluginFieldCollection* PatchReplacePlugin::getFieldsToSerialize() noexcept { return &kNoFields; }

bool PatchReplacePlugin::sizesFit(const Extents& e) const noexcept {
    std::int64_t tall = kUnknown;
    std::int64_t wide = kUnknown;
    if (!pixelsOf(e, kHeight, kRows, tall) || !pixelsOf(e, kWidth, kColumns, wide)) {
        return false;
    }
    if (tall != kUnknown && wide != kUnknown && tall != wide) {
        logError(kSignature.name, "a patch is %lld pixels high and %lld wide; allowed is h / rows = w / columns",
            static_cast<long long>(tall), static_cast<long long>(wide));
        return false;
    }
    return true;
}

bool PatchReplacePlugin::kernelsTake(const Extents& e, DataType type) const noexcept {
    // Upper bounds need not be the sizes of one map: the limits then wait for the sizes themselves.
    const bool isMap = e[kHeight] % e[kRows] == 0 && e[kWidth] % e[kColumns] == 0
        && e[kHeight] / e[kRows] == e[kWidth] / e[kColumns];
    if (isMap && !patchReplaceAllowed(sizesOf(e, type))) {
        logError(kSignature.name, "B %d, C %d, h %d, w %d is more than the kernel takes; make B or the map smaller",
            e[kB], e[kC], e[kHeight], e[kWidth]);
        return false;
    }
    return true;
}

std::size_t PatchReplacePlugin::workspaceFor(const Extents& /*most*/, DataType /*type*/) const noexcept { return 0; }

void PatchReplacePlugin::shapeOutputs(const nvinfer1::DimsExprs* inputs, nvinfer1::DimsExprs* outputs,
    nvinfer1::IExprBuilder& /*builder*/) const noexcept {
    outputs[0] = inputs[0];
    outputs[1] = inputs[1];
}

cudaError_t PatchReplacePlugin::launch(const Extents& extents, DataType type, const void* const* inputs,
    void* const* outputs, void* /*workspace*/, cudaStream_t stream) const noexcept {
    PatchReplaceParams params{};
    params.detail = inputs[0];
    params.inside = inputs[1];
    params.offset = static_cast<const std::int32_t*>(inputs[2]);
    params.share = static_cast<const float*>(inputs[3]);
    params.mixed = outputs[0];
    params.missing = outputs[1];
    params.sizes = sizesOf(extents, type);
    return patchReplace(params, stream);
}

nvinfer1::IPluginV3* PatchReplaceCreator::createPlugin(const char* layerName,
    const nvinfer1::PluginFieldCollection* /*fields*/, nvinfer1::TensorRTPhase /*phase*/) noexcept {
    auto* plugin = new (std::nothrow) PatchReplacePlugin();
    if (plugin == nullptr) {
        logError(kSignature.name, "no host memory for layer '%s'", layerName != nullptr ? layerName : "");
    }
    return plugin;
}

const nvinfer1::PluginFieldCollection* PatchReplaceCreator::getFieldNames() noexcept { return &kNoFields; }

const char* PatchReplaceCreator::getPluginName() const noexcept { return kSignature.name; }

}  // namespace iic
