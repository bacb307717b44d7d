// What the layers of all operators have in common, for TensorRT 10.3 and later and TensorRT-RTX.
#pragma once

#include <NvInferRuntime.h>

#include "signature.h"

namespace iic {

constexpr char kPluginVersion[] = "5";
constexpr char kPluginNamespace[] = "iic";

// The three capabilities in one object. Functions that report success by a number return 0 for it, and log the reason
// where they return another. Shapes, types and meaning: docs/patch-replace.md.
class OperatorPlugin : public nvinfer1::IPluginV3,
                       public nvinfer1::IPluginV3OneCore,
                       public nvinfer1::IPluginV3OneBuild,
                       public nvinfer1::IPluginV3OneRuntime {
public:
    explicit OperatorPlugin(const Signature& signature) noexcept : signature_(signature) {}

    nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept final;

    const char* getPluginName() const noexcept final { return signature_.name; }
    const char* getPluginVersion() const noexcept final { return kPluginVersion; }
    const char* getPluginNamespace() const noexcept final { return kPluginNamespace; }

    std::int32_t getNbOutputs() const noexcept final { return kOutputs; }
    std::int32_t getOutputDataTypes(nvinfer1::DataType* outputs, std::int32_t nbOutputs,
        const nvinfer1::DataType* inputs, std::int32_t nbInputs) const noexcept final;
    std::int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, std::int32_t nbInputs,
        const nvinfer1::DimsExprs* shapeInputs, std::int32_t nbShapeInputs, nvinfer1::DimsExprs* outputs,
        std::int32_t nbOutputs, nvinfer1::IExprBuilder& builder) noexcept final;
    bool supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
        std::int32_t nbInputs, std::int32_t nbOutputs) noexcept final;
    std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, std::int32_t nbInputs,
        const nvinfer1::DynamicPluginTensorDesc* outputs, std::int32_t nbOutputs) noexcept final;
    std::size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs, std::int32_t nbInputs,
        const nvinfer1::DynamicPluginTensorDesc* outputs, std::int32_t nbOutputs) const noexcept final;

    std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, std::int32_t nbInputs,
        const nvinfer1::PluginTensorDesc* outputs, std::int32_t nbOutputs) noexcept final;
    std::int32_t enqueue(const nvinfer1::PluginTensorDesc* inputDescs, const nvinfer1::PluginTensorDesc* outputDescs,
        const void* const* inputs, void* const* outputs, void* workspace, cudaStream_t stream) noexcept final;
    nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept final;

protected:
    // Whether the sizes, as far as they are known, fit each other; logs where they do not.
    virtual bool sizesFit(const Extents& extents) const noexcept = 0;
    // Whether the kernels take sizes up to these; logs where they do not.
    virtual bool kernelsTake(const Extents& extents, DataType type) const noexcept = 0;
    // Bytes that are enough for every problem up to these sizes.
    virtual std::size_t workspaceFor(const Extents& most, DataType type) const noexcept = 0;
    virtual void shapeOutputs(const nvinfer1::DimsExprs* inputs, nvinfer1::DimsExprs* outputs,
        nvinfer1::IExprBuilder& builder) const noexcept = 0;
    virtual cudaError_t launch(const Extents& extents, DataType type, const void* const* inputs, void* const* outputs,
        void* workspace, cudaStream_t stream) const noexcept = 0;

private:
    const Signature& signature_;
};

}  // namespace iic
