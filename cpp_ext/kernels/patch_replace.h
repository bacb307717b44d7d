// Launcher of iic::PatchReplace, version 1. What it computes is written in docs/patch-replace.md.
//
// Plain C++ but for the two CUDA types, so that a plugin is compiled by g++ without nvcc.
#pragma once

#include <cstddef>

#ifdef IIC_HOST_SHIM
#include "cuda_shim.h"
#else
#include <cuda_runtime_api.h>
#endif

namespace iic {

enum class DataType : int { kFloat32 = 0, kFloat16 = 1 };

// Device pointers of contiguous tensors. `type` is the type of q, k, v and out; the others are float.
// Each pointer is aligned to 16 bytes. No output may overlap an input.
struct PatchReplaceParams {
    const void* q;        // [batch, patches, descriptor]
    const void* k;        // [batch, patches, descriptor]
    const void* v;        // [batch, patches, width]
    const float* hole;    // [batch, patches], above 0 = replace this row
    const float* weight;  // [batch, patches], 0 or more, 0 = never read
    void* out;            // [batch, patches, width]
    float* replaced;      // [batch, patches], written 1 or 0
    int batch;
    int patches;
    int descriptor;
    int width;
    float scale;
    DataType type;
};

// Bytes that patchReplace() needs, 0 where the sizes are not allowed (each is 1 or more, and the tensors and the
// grid must stay within what 32-bit launches can number).
std::size_t patchReplaceWorkspaceSize(int batch, int patches, int descriptor, int width, DataType type) noexcept;

// Enqueues the operator on `stream`: nothing is allocated, nothing waits, nothing is read back, so it may be captured
// into a CUDA graph. The first call of a process may load the kernels: make it outside a capture. `workspace` is device
// memory aligned to 16 bytes; its content may be anything.
//
// Returns cudaErrorInvalidValue for sizes, pointers, alignment or a workspace that are not as said above, otherwise
// the status of the launches.
cudaError_t patchReplace(
    PatchReplaceParams const& params, void* workspace, std::size_t workspaceBytes, cudaStream_t stream) noexcept;

}  // namespace iic
