#include "plugin.h"

#include <new>

#include "logger.h"
#include "tensors.h"

using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;
using std::int32_t;

namespace iic {
namespace {

constexpr int32_t kSuccess = 0;
constexpr int32_t kFailure = 1;

InputDims dimsOf(const PluginTensorDesc* inputs) noexcept {
    return {inputs[kQ].dims, inputs[kK].dims, inputs[kV].dims, inputs[kHole].dims, inputs[kWeight].dims};
}

InputDims networkDimsOf(const DynamicPluginTensorDesc* inputs) noexcept {
    return {inputs[kQ].desc.dims, inputs[kK].desc.dims, inputs[kV].desc.dims, inputs[kHole].desc.dims,
        inputs[kWeight].desc.dims};
}

InputDims smallestDimsOf(const DynamicPluginTensorDesc* inputs) noexcept {
    return {inputs[kQ].min, inputs[kK].min, inputs[kV].min, inputs[kHole].min, inputs[kWeight].min};
}

InputDims largestDimsOf(const DynamicPluginTensorDesc* inputs) noexcept {
    return {inputs[kQ].max, inputs[kK].max, inputs[kV].max, inputs[kHole].max, inputs[kWeight].max};
}

// The dimensions that are fixed already, -1 for the others.
nvinfer1::Dims fixedDims(const nvinfer1::DimsExprs& expressions) noexcept {
    nvinfer1::Dims dims{};
    dims.nbDims = expressions.nbDims;
    for (int axis = 0; axis < expressions.nbDims; ++axis) {
        const nvinfer1::IDimensionExpr* extent = expressions.d[axis];
        dims.d[axis] = extent->isConstant() ? extent->getConstantValue() : -1;
    }
    return dims;
}

std::size_t profileWorkspace(const DynamicPluginTensorDesc* inputs) noexcept {
    return workspaceOf(sizesOf(smallestDimsOf(inputs)), sizesOf(largestDimsOf(inputs)), inputs[kQ].desc.type);
}

}  // namespace

PatchReplacePlugin::PatchReplacePlugin(float scale) noexcept
    : scale_(scale), field_(kScaleAttribute, &scale_, nvinfer1::PluginFieldType::kFLOAT32, 1), fields_{1, &field_} {}

nvinfer1::IPluginCapability* PatchReplacePlugin::getCapabilityInterface(
    nvinfer1::PluginCapabilityType type) noexcept {
    switch (type) {
        case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
        case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
        case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    logError("capability %d was asked for; there are core, build and runtime", static_cast<int>(type));
    return nullptr;
}

nvinfer1::IPluginV3* PatchReplacePlugin::clone() noexcept {
    auto* copy = new (std::nothrow) PatchReplacePlugin(scale_);
    if (copy == nullptr) {
        logError("no host memory for a copy of the layer");
    }
    return copy;
}

int32_t PatchReplacePlugin::getNbOutputs() const noexcept { return kOutputs; }

int32_t PatchReplacePlugin::getOutputDataTypes(nvinfer1::DataType* outputs, int32_t nbOutputs,
    const nvinfer1::DataType* inputs, int32_t nbInputs) const noexcept {
    if (!countsAllowed(nbInputs, nbOutputs) || !typesAllowed(inputs)) {
        return kFailure;
    }
    outputs[0] = inputs[kV];
    outputs[1] = nvinfer1::DataType::kFLOAT;
    return kSuccess;
}

int32_t PatchReplacePlugin::getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t nbInputs,
    const nvinfer1::DimsExprs* /*shapeInputs*/, int32_t /*nbShapeInputs*/, nvinfer1::DimsExprs* outputs,
    int32_t nbOutputs, nvinfer1::IExprBuilder& /*builder*/) noexcept {
    if (!countsAllowed(nbInputs, nbOutputs)) {
        return kFailure;
    }
    const InputDims dims{fixedDims(inputs[kQ]), fixedDims(inputs[kK]), fixedDims(inputs[kV]), fixedDims(inputs[kHole]),
        fixedDims(inputs[kWeight])};
    if (!shapesAllowed(dims, Known::kSome)) {
        return kFailure;
    }
    outputs[0] = inputs[kV];
    outputs[1] = inputs[kHole];
    return kSuccess;
}

// Engines try types here that no one asked for, hence no message: getOutputDataTypes() has the ones that were.
bool PatchReplacePlugin::supportsFormatCombination(
    int32_t position, const DynamicPluginTensorDesc* tensors, int32_t nbInputs, int32_t nbOutputs) noexcept {
    if (!countsAllowed(nbInputs, nbOutputs) || position < 0 || position >= kInputs + kOutputs) {
        return false;
    }
    const PluginTensorDesc& tensor = tensors[position].desc;
    if (tensor.format != nvinfer1::TensorFormat::kLINEAR) {
        return false;
    }
    switch (position) {
        case kQ: return tensor.type == nvinfer1::DataType::kFLOAT || tensor.type == nvinfer1::DataType::kHALF;
        case kK:
        case kV:
        case kOut: return tensor.type == tensors[kQ].desc.type;
        default: return tensor.type == nvinfer1::DataType::kFLOAT;
    }
}

int32_t PatchReplacePlugin::configurePlugin(const DynamicPluginTensorDesc* inputs, int32_t nbInputs,
    const DynamicPluginTensorDesc* /*outputs*/, int32_t nbOutputs) noexcept {
    if (!countsAllowed(nbInputs, nbOutputs)) {
        return kFailure;
    }
    // The bounds themselves are not compared: the engine may know one more loosely than another.
    return shapesAllowed(networkDimsOf(inputs), Known::kSome) && profileWorkspace(inputs) > 0 ? kSuccess : kFailure;
}

std::size_t PatchReplacePlugin::getWorkspaceSize(const DynamicPluginTensorDesc* inputs, int32_t nbInputs,
    const DynamicPluginTensorDesc* /*outputs*/, int32_t nbOutputs) const noexcept {
    return countsAllowed(nbInputs, nbOutputs) ? profileWorkspace(inputs) : 0;
}

int32_t PatchReplacePlugin::onShapeChange(const PluginTensorDesc* inputs, int32_t nbInputs,
    const PluginTensorDesc* /*outputs*/, int32_t nbOutputs) noexcept {
    return countsAllowed(nbInputs, nbOutputs) && shapesAllowed(dimsOf(inputs), Known::kAll) ? kSuccess : kFailure;
}

int32_t PatchReplacePlugin::enqueue(const PluginTensorDesc* inputDescs, const PluginTensorDesc* /*outputDescs*/,
    const void* const* inputs, void* const* outputs, void* workspace, cudaStream_t stream) noexcept {
    const Sizes sizes = sizesOf(dimsOf(inputDescs));
    PatchReplaceParams params{};
    params.q = inputs[kQ];
    params.k = inputs[kK];
    params.v = inputs[kV];
    params.hole = static_cast<const float*>(inputs[kHole]);
    params.weight = static_cast<const float*>(inputs[kWeight]);
    params.out = outputs[0];
    params.replaced = static_cast<float*>(outputs[1]);
    params.batch = sizes.batch;
    params.patches = sizes.patches;
    params.descriptor = sizes.descriptor;
    params.width = sizes.width;
    params.scale = scale_;
    params.type = kernelType(inputDescs[kQ].type);
    const std::size_t bytes = workspaceOf(sizes, sizes, inputDescs[kQ].type);
    const cudaError_t status = patchReplace(params, workspace, bytes, stream);
    if (status != cudaSuccess) {
        logError("the kernels were not launched: %s (B %d, N %d, D %d, Dv %d)", cudaGetErrorString(status), sizes.batch,
            sizes.patches, sizes.descriptor, sizes.width);
        return kFailure;
    }
    return kSuccess;
}

nvinfer1::IPluginV3* PatchReplacePlugin::attachToContext(nvinfer1::IPluginResourceContext* /*context*/) noexcept {
    return clone();
}

const nvinfer1::PluginFieldCollection* PatchReplacePlugin::getFieldsToSerialize() noexcept { return &fields_; }

}  // namespace iic
