#include "attributes.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "logger.h"

using nvinfer1::PluginField;
using nvinfer1::PluginFieldType;

namespace iic {
namespace {

template <typename T>
constexpr PluginFieldType kTypeOf = PluginFieldType::kFLOAT32;
template <>
constexpr PluginFieldType kTypeOf<std::int32_t> = PluginFieldType::kINT32;

const PluginField* findField(const nvinfer1::PluginFieldCollection* collection, const char* name) noexcept {
    for (int i = 0; collection != nullptr && i < collection->nbFields; ++i) {
        const PluginField& field = collection->fields[i];
        if (field.name != nullptr && std::strcmp(field.name, name) == 0) {
            return &field;
        }
    }
    return nullptr;
}

}  // namespace

template <typename T>
int readAttribute(const char* operatorName, const char* layer, const nvinfer1::PluginFieldCollection* fields,
    const char* name, T* values, int most) noexcept {
    char allowed[60];
    std::snprintf(allowed, sizeof(allowed), most == 1 ? "type %d (%s), 1 value" : "type %d (%s), 1 to %d values",
        static_cast<int>(kTypeOf<T>), kTypeOf<T> == PluginFieldType::kINT32 ? "int32" : "float32", most);
    const PluginField* field = findField(fields, name);
    if (field == nullptr) {
        logError(operatorName, "layer '%s' has no attribute %s; it must have this one: %s", layer, name, allowed);
        return 0;
    }
    if (field->type != kTypeOf<T> || field->length < 1 || field->length > most || field->data == nullptr) {
        logError(operatorName, "attribute %s of layer '%s' has field type %d and %d values; allowed is %s", name, layer,
            static_cast<int>(field->type), field->length, allowed);
        return 0;
    }
    std::memcpy(values, field->data, field->length * sizeof(T));  // an engine's bytes need not be aligned
    return field->length;
}

template int readAttribute(const char*, const char*, const nvinfer1::PluginFieldCollection*, const char*,
    std::int32_t*, int) noexcept;
template int readAttribute(
    const char*, const char*, const nvinfer1::PluginFieldCollection*, const char*, float*, int) noexcept;

}  // namespace iic
