// iic::PatchReplace, version 1, as a layer of TensorRT 10.3 and later and of TensorRT-RTX.
#pragma once

#include <NvInferRuntime.h>

namespace iic {

constexpr char kPluginName[] = "PatchReplace";
constexpr char kPluginVersion[] = "1";
constexpr char kPluginNamespace[] = "iic";
constexpr char kScaleAttribute[] = "scale";

// The three capabilities in one object: the only state is `scale`. Shapes, types and meaning: docs/patch-replace.md.
// Functions that report success by a number return 0 for it, and log the reason where they return another.
class PatchReplacePlugin final : public nvinfer1::IPluginV3,
                                 public nvinfer1::IPluginV3OneCore,
                                 public nvinfer1::IPluginV3OneBuild,
                                 public nvinfer1::IPluginV3OneRuntime {
public:
    explicit PatchReplacePlugin(float scale) noexcept;

    nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3* clone() noexcept override;

    const char* getPluginName() const noexcept override { return kPluginName; }
    const char* getPluginVersion() const noexcept override { return kPluginVersion; }
    const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }

    std::int32_t getNbOutputs() const noexcept override;
    std::int32_t getOutputDataTypes(nvinfer1::DataType* outputs, std::int32_t nbOutputs,
        const nvinfer1::DataType* inputs, std::int32_t nbInputs) const noexcept override;
    std::int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, std::int32_t nbInputs,
        const nvinfer1::DimsExprs* shapeInputs, std::int32_t nbShapeInputs, nvinfer1::DimsExprs* outputs,
        std::int32_t nbOutputs, nvinfer1::IExprBuilder& builder) noexcept override;
    bool supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc* tensors,
        std::int32_t nbInputs, std::int32_t nbOutputs) noexcept override;
    std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, std::int32_t nbInputs,
        const nvinfer1::DynamicPluginTensorDesc* outputs, std::int32_t nbOutputs) noexcept override;
    std::size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs, std::int32_t nbInputs,
        const nvinfer1::DynamicPluginTensorDesc* outputs, std::int32_t nbOutputs) const noexcept override;

    std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, std::int32_t nbInputs,
        const nvinfer1::PluginTensorDesc* outputs, std::int32_t nbOutputs) noexcept override;
    std::int32_t enqueue(const nvinfer1::PluginTensorDesc* inputDescs, const nvinfer1::PluginTensorDesc* outputDescs,
        const void* const* inputs, void* const* outputs, void* workspace, cudaStream_t stream) noexcept override;
    nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

private:
    float scale_;
    nvinfer1::PluginField field_;  // points to scale_ of this very object
    nvinfer1::PluginFieldCollection fields_;
};

// Makes plugins from attributes: of an ONNX node while building, of getFieldsToSerialize() while loading an engine.
class PatchReplaceCreator final : public nvinfer1::IPluginCreatorV3One {
public:
    nvinfer1::IPluginV3* createPlugin(const char* layerName, const nvinfer1::PluginFieldCollection* fields,
        nvinfer1::TensorRTPhase phase) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
    const char* getPluginName() const noexcept override { return kPluginName; }
    const char* getPluginVersion() const noexcept override { return kPluginVersion; }
    const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }
};

}  // namespace iic
