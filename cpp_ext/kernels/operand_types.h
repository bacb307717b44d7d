// What the launchers of all operators share. Plain C++ but for the CUDA types, so that a plugin is compiled by g++
// without nvcc.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef IIC_HOST_SHIM
#include "cuda_shim.h"
#else
#include <cuda_runtime_api.h>
#endif

namespace iic {

enum class DataType : int { kFloat32 = 0, kFloat16 = 1 };

}  // namespace iic
