// iic::PatchReplace, version 5, as a layer of TensorRT. It has no attributes.
#pragma once

#include "operator_plugin.h"

namespace iic {

class PatchReplacePlugin final : public OperatorPlugin {
public:
    PatchReplacePlugin() noexcept;

    nvinfer1::IPluginV3* clone() noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

protected:
    bool sizesFit(const Extents& extents) const noexcept override;
    bool kernelsTake(const Extents& extents, DataType type) const noexcept override;
    std::size_t workspaceFor(const Extents& most, DataType type) const noexcept override;
    void shapeOutputs(const nvinfer1::DimsExprs* inputs, nvinfer1::DimsExprs* outputs,
        nvinfer1::IExprBuilder& builder) const noexcept override;
    cudaError_t launch(const Extents& extents, DataType type, const void* const* inputs, void* const* outputs,
        void* workspace, cudaStream_t stream) const noexcept override;
};

class PatchReplaceCreator final : public nvinfer1::IPluginCreatorV3One {
public:
    nvinfer1::IPluginV3* createPlugin(const char* layerName, const nvinfer1::PluginFieldCollection* fields,
        nvinfer1::TensorRTPhase phase) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
    const char* getPluginName() const noexcept override;
    const char* getPluginVersion() const noexcept override { return kPluginVersion; }
    const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }
};

}  // namespace iic
