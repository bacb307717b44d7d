// iic::PatchMatch, version 5, as a layer of TensorRT.
#pragma once

#include "operator_plugin.h"
#include "patch_match.h"

namespace iic {

struct MatchAttributes {
    std::int32_t sweeps;
    std::int32_t steps[kMostSweeps];
};

class PatchMatchPlugin final : public OperatorPlugin {
public:
    explicit PatchMatchPlugin(const MatchAttributes& attributes) noexcept;

    nvinfer1::IPluginV3* clone() noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override { return &collection_; }

protected:
    bool sizesFit(const Extents& extents) const noexcept override;
    bool kernelsTake(const Extents& extents, DataType type) const noexcept override;
    std::size_t workspaceFor(const Extents& most, DataType type) const noexcept override;
    void shapeOutputs(const nvinfer1::DimsExprs* inputs, nvinfer1::DimsExprs* outputs,
        nvinfer1::IExprBuilder& builder) const noexcept override;
    cudaError_t launch(const Extents& extents, DataType type, const void* const* inputs, void* const* outputs,
        void* workspace, cudaStream_t stream) const noexcept override;

private:
    MatchAttributes attributes_;
    nvinfer1::PluginField field_;  // points to attributes_ of this very object
    nvinfer1::PluginFieldCollection collection_;
};

// Makes plugins from attributes: of an ONNX node while building, of getFieldsToSerialize() while loading an engine.
class PatchMatchCreator final : public nvinfer1::IPluginCreatorV3One {
public:
    nvinfer1::IPluginV3* createPlugin(const char* layerName, const nvinfer1::PluginFieldCollection* fields,
        nvinfer1::TensorRTPhase phase) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
    const char* getPluginName() const noexcept override;
    const char* getPluginVersion() const noexcept override { return kPluginVersion; }
    const char* getPluginNamespace() const noexcept override { return kPluginNamespace; }
};

}  // namespace iic
