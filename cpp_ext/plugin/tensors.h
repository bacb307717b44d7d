// What the five inputs of iic::PatchReplace may be: number, shapes and types, checked wherever an engine names them.
#pragma once

#include <NvInferRuntime.h>

#include <array>

#include "patch_replace.h"

namespace iic {

enum Tensor : int { kQ = 0, kK, kV, kHole, kWeight, kOut, kReplaced };
constexpr int kInputs = 5;
constexpr int kOutputs = 2;

using InputDims = std::array<nvinfer1::Dims, kInputs>;

// Whether a dimension of -1, one that is not known yet, may be among the dimensions.
enum class Known { kAll, kSome };

struct Sizes {
    int batch;
    int patches;
    int descriptor;
    int width;
};

// Each of these logs what was wrong and what is allowed before it returns false.
bool countsAllowed(int inputs, int outputs) noexcept;
bool typesAllowed(const nvinfer1::DataType* inputs) noexcept;
bool shapesAllowed(const InputDims& inputs, Known known) noexcept;

// The sizes of shapes that are all known. Where they are upper bounds, which need not agree, no size is larger than the
// smallest of its bounds.
Sizes sizesOf(const InputDims& inputs) noexcept;

// The kernels' name of a type that is allowed.
DataType kernelType(nvinfer1::DataType type) noexcept;

// Bytes of device memory that are enough for every problem from the smallest to the largest sizes; logs and returns 0
// where the largest are over what the kernels take. More N or Dv never need less, fewer pictures may need more.
std::size_t workspaceOf(const Sizes& smallest, const Sizes& largest, nvinfer1::DataType type) noexcept;

}  // namespace iic
