// Reads the attributes that a layer is made from.
#pragma once

#include <NvInferRuntime.h>

namespace iic {

// Reads the attribute `name` of a layer, 1 to `most` numbers, into `values` and returns how many there are. Logs what is
// wrong and what is allowed, and returns 0, where it is missing, of another type or has another number of values. T is
// std::int32_t or float.
template <typename T>
int readAttribute(const char* operatorName, const char* layer, const nvinfer1::PluginFieldCollection* fields,
    const char* name, T* values, int most) noexcept;

}  // namespace iic
