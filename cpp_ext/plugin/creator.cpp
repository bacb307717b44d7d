#include <cmath>
#include <cstring>
#include <new>

#include "logger.h"
#include "plugin.h"

namespace iic {
namespace {

const nvinfer1::PluginField* findScale(const nvinfer1::PluginFieldCollection* collection) noexcept {
    for (int i = 0; collection != nullptr && i < collection->nbFields; ++i) {
        const nvinfer1::PluginField& field = collection->fields[i];
        if (field.name != nullptr && std::strcmp(field.name, kScaleAttribute) == 0) {
            return &field;
        }
    }
    return nullptr;
}

}  // namespace

nvinfer1::IPluginV3* PatchReplaceCreator::createPlugin(const char* layerName,
    const nvinfer1::PluginFieldCollection* fields, nvinfer1::TensorRTPhase /*phase*/) noexcept {
    const char* layer = layerName != nullptr ? layerName : "";
    const nvinfer1::PluginField* field = findScale(fields);
    if (field == nullptr) {
        logError("layer '%s' has no attribute scale; it must have this one, a float32 number", layer);
        return nullptr;
    }
    if (field->type != nvinfer1::PluginFieldType::kFLOAT32 || field->length != 1 || field->data == nullptr) {
        logError("attribute scale of layer '%s' has field type %d and %d values; allowed is type 1 (float32), 1 value",
            layer, static_cast<int>(field->type), field->length);
        return nullptr;
    }
    float scale = 0;
    std::memcpy(&scale, field->data, sizeof(scale));  // an engine's bytes need not be aligned
    if (!std::isfinite(scale)) {
        logError("attribute scale of layer '%s' is %g; allowed is any finite number", layer, scale);
        return nullptr;
    }
    auto* plugin = new (std::nothrow) PatchReplacePlugin(scale);
    if (plugin == nullptr) {
        logError("no host memory for layer '%s'", layer);
    }
    return plugin;
}

const nvinfer1::PluginFieldCollection* PatchReplaceCreator::getFieldNames() noexcept {
    static const nvinfer1::PluginField field(kScaleAttribute, nullptr, nvinfer1::PluginFieldType::kFLOAT32, 1);
    static const nvinfer1::PluginFieldCollection fields{1, &field};
    return &fields;
}

}  // namespace iic
