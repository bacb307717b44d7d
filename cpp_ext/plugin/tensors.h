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

struct Sizes {
    int batch;
    int patches;
    int descriptor;
    int width;
};

// Each of these logs what was wrong and what is allowed before it returns false.
bool countsAllowed(int inputs, int outputs) noexcept;
bool typesAllowed(const nvinfer1::DataType* inputs) noexcept;
bool shapesAllowed(const InputDims& inputs) noexcept;  // a dimension of -1 is not known yet, and passes

// The sizes of shapes that are allowed and all known, and the kernels' name of a type that is allowed.
Sizes sizesOf(const nvinfer1::Dims& q, const nvinfer1::Dims& v) noexcept;
DataType kernelType(nvinfer1::DataType type) noexcept;

// Bytes of device memory the kernels ask for; logs and returns 0 where the sizes are over what they take.
std::size_t workspaceOf(const Sizes& sizes, nvinfer1::DataType type) noexcept;

}  // namespace iic
