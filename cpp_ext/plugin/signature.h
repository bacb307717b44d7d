// What the inputs and outputs of an operator may be: number, shapes and types, checked wherever an engine names them.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>

#include "operand_types.h"

namespace iic {

constexpr int kMostInputs = 4;
constexpr int kMostRank = 5;
constexpr int kMostSizes = 7;
constexpr int kOutputs = 2;

// What stands at an axis whose extent is fixed, in place of a size: less than 0.
constexpr int fixedTo(int extent) noexcept { return -extent; }
constexpr int fixedExtent(int axis) noexcept { return -axis; }

enum class Kind { kT, kFloat32, kInt32 };  // kT: float32 or float16, one for all of an operator

struct Input {
    const char* name;
    Kind kind;
    const char* shape;
    int rank;
    int axes[kMostRank];  // which size stands at each axis, or fixedTo() an extent
};

struct Signature {
    const char* name;
    const char* tensors;  // for messages
    int inputs;
    Input input[kMostInputs];  // the first one is of kind kT
    Kind output[kOutputs];
    int sizes;
    const char* sizeNames[kMostSizes];  // a size is named once: equal names mean equal sizes
};

// The sizes in the order of their names; kUnknown where no shape tells one yet.
constexpr std::int64_t kUnknown = -1;

struct Extents {
    std::int64_t size[kMostSizes];
    int operator[](int i) const noexcept { return static_cast<int>(size[i]); }
};

// Whether a dimension of -1, one that is not known yet, may be among the dimensions.
enum class Known { kAll, kSome };

// Each of these logs what was wrong and what is allowed before it returns false.
bool countsAllowed(const Signature& signature, int inputs, int outputs) noexcept;
bool typesAllowed(const Signature& signature, const nvinfer1::DataType* inputs) noexcept;
bool shapesAllowed(
    const Signature& signature, const nvinfer1::Dims* inputs, Known known, Extents& extents) noexcept;

// Whether the tensor at `position`, inputs before outputs, may have the type that it has; logs nothing.
bool typeFits(const Signature& signature, int position, const nvinfer1::DynamicPluginTensorDesc* tensors) noexcept;

// The sizes of shapes that are upper bounds, which need not agree: of each size the smallest of its bounds.
Extents leastOf(const Signature& signature, const nvinfer1::Dims* inputs) noexcept;

// The kernels' name of a type that is allowed.
DataType kernelType(nvinfer1::DataType type) noexcept;

}  // namespace iic
