#include "operator_plugin.h"

#include <cstdio>

#include "logger.h"

using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;
using std::int32_t;

namespace iic {
namespace {

constexpr int32_t kSuccess = 0;
constexpr int32_t kFailure = 1;

// Of each input what `get` takes from its description, in an array.
template <typename Description, typename Get>
struct InputDims {
    InputDims(const Description* inputs, int count, const Get& get) noexcept {
        for (int i = 0; i < count; ++i) {
            dims[i] = get(inputs[i]);
        }
    }
    nvinfer1::Dims dims[kMostInputs]{};
};

// The dimensions that are fixed already, -1 for the others.
nvinfer1::Dims fixedDims(const nvinfer1::DimsExprs& expressions) noexcept {
    nvinfer1::Dims dims{};
    dims.nbDims = expressions.nbDims;
    for (int axis = 0; axis < expressions.nbDims; ++axis) {
        const nvinfer1::IDimensionExpr* extent = expressions.d[axis];
        dims.d[axis] = extent->isConstant() ? extent->getConstantValue() : kUnknown;
    }
    return dims;
}

nvinfer1::Dims networkDims(const DynamicPluginTensorDesc& input) noexcept { return input.desc.dims; }
nvinfer1::Dims largestDims(const DynamicPluginTensorDesc& input) noexcept { return input.max; }
nvinfer1::Dims dimsNow(const PluginTensorDesc& input) noexcept { return input.dims; }

}  // namespace

nvinfer1::IPluginCapability* OperatorPlugin::getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept {
    switch (type) {
        case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
        case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
        case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    logError(signature_.name, "capability %d was asked for; there are core, build and runtime", static_cast<int>(type));
    return nullptr;
}

int32_t OperatorPlugin::getOutputDataTypes(nvinfer1::DataType* outputs, int32_t nbOutputs,
    const nvinfer1::DataType* inputs, int32_t nbInputs) const noexcept {
    if (!countsAllowed(signature_, nbInputs, nbOutputs) || !typesAllowed(signature_, inputs)) {
        return kFailure;
    }
    for (int i = 0; i < kOutputs; ++i) {
        const Kind kind = signature_.output[i];
        outputs[i] = kind == Kind::kT         ? inputs[0]
                     : kind == Kind::kFloat32 ? nvinfer1::DataType::kFLOAT
                                              : nvinfer1::DataType::kINT32;
    }
    return kSuccess;
}

int32_t OperatorPlugin::getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t nbInputs,
    const nvinfer1::DimsExprs* /*shapeInputs*/, int32_t /*nbShapeInputs*/, nvinfer1::DimsExprs* outputs,
    int32_t nbOutputs, nvinfer1::IExprBuilder& builder) noexcept {
    if (!countsAllowed(signature_, nbInputs, nbOutputs)) {
        return kFailure;
    }
    const InputDims fixed(inputs, nbInputs, fixedDims);
    Extents extents{};
    if (!shapesAllowed(signature_, fixed.dims, Known::kSome, extents) || !sizesFit(extents)) {
        return kFailure;
    }
    shapeOutputs(inputs, outputs, builder);
    return kSuccess;
}

// Engines try types here that no one asked for, hence no message: getOutputDataTypes() has the ones that were.
bool OperatorPlugin::supportsFormatCombination(
    int32_t position, const DynamicPluginTensorDesc* tensors, int32_t nbInputs, int32_t nbOutputs) noexcept {
    if (!countsAllowed(signature_, nbInputs, nbOutputs) || position < 0 || position >= nbInputs + nbOutputs) {
        return false;
    }
    return tensors[position].desc.format == nvinfer1::TensorFormat::kLINEAR && typeFits(signature_, position, tensors);
}

int32_t OperatorPlugin::configurePlugin(const DynamicPluginTensorDesc* inputs, int32_t nbInputs,
    const DynamicPluginTensorDesc* /*outputs*/, int32_t nbOutputs) noexcept {
    if (!countsAllowed(signature_, nbInputs, nbOutputs)) {
        return kFailure;
    }
    const InputDims network(inputs, nbInputs, networkDims);
    Extents extents{};
    if (!shapesAllowed(signature_, network.dims, Known::kSome, extents) || !sizesFit(extents)) {
        return kFailure;
    }
    // The bounds themselves are not compared: the engine may know one more loosely than another.
    const InputDims most(inputs, nbInputs, largestDims);
    const bool isTaken = kernelsTake(leastOf(signature_, most.dims), kernelType(inputs[0].desc.type));
    return isTaken ? kSuccess : kFailure;
}

std::size_t OperatorPlugin::getWorkspaceSize(const DynamicPluginTensorDesc* inputs, int32_t nbInputs,
    const DynamicPluginTensorDesc* /*outputs*/, int32_t nbOutputs) const noexcept {
    if (!countsAllowed(signature_, nbInputs, nbOutputs)) {
        return 0;
    }
    const InputDims most(inputs, nbInputs, largestDims);
    return workspaceFor(leastOf(signature_, most.dims), kernelType(inputs[0].desc.type));
}

int32_t OperatorPlugin::onShapeChange(const PluginTensorDesc* inputs, int32_t nbInputs,
    const PluginTensorDesc* /*outputs*/, int32_t nbOutputs) noexcept {
    if (!countsAllowed(signature_, nbInputs, nbOutputs)) {
        return kFailure;
    }
    const InputDims now(inputs, nbInputs, dimsNow);
    Extents extents{};
    const bool isAllowed = shapesAllowed(signature_, now.dims, Known::kAll, extents) && sizesFit(extents)
        && kernelsTake(extents, kernelType(inputs[0].type));
    return isAllowed ? kSuccess : kFailure;
}

int32_t OperatorPlugin::enqueue(const PluginTensorDesc* inputDescs, const PluginTensorDesc* /*outputDescs*/,
    const void* const* inputs, void* const* outputs, void* workspace, cudaStream_t stream) noexcept {
    const InputDims now(inputDescs, signature_.inputs, dimsNow);
    const Extents extents = leastOf(signature_, now.dims);
    const cudaError_t status = launch(extents, kernelType(inputDescs[0].type), inputs, outputs, workspace, stream);
    if (status != cudaSuccess) {
        char sizes[200] = {};
        int used = 0;
        for (int i = 0; i < signature_.sizes; ++i) {
            used += std::snprintf(sizes + used, sizeof(sizes) - used, "%s%s %d", i == 0 ? "" : ", ",
                signature_.sizeNames[i], extents[i]);
        }
        logError(signature_.name, "the kernels were not launched: %s (%s)", cudaGetErrorString(status), sizes);
        return kFailure;
    }
    return kSuccess;
}

nvinfer1::IPluginV3* OperatorPlugin::attachToContext(nvinfer1::IPluginResourceContext* /*context*/) noexcept {
    return clone();
}

}  // namespace iic
