// Launcher of iic::PatchSearch, version 5. What it computes is written in docs/patch-replace.md.
#pragma once

#include "operand_types.h"

namespace iic {

// Patches that the kernels can keep; the operator itself has no limit but their number.
constexpr int kMostBest = 4;

constexpr int kQuarters = 4;  // of a patch, in which offsets are counted

struct PatchSearchSizes {
    int batch;
    int rows;  // of patches
    int columns;
    int descriptor;
    int best;  // 1 to kMostBest, and no more than there are patches
    DataType type;  // of q
};

// Device pointers of contiguous tensors, each aligned to 16 bytes. No output may overlap an input.
struct PatchSearchParams {
    const void* q;         // [batch, rows * columns, descriptor]
    const float* hole;     // [batch, rows, columns], above 0 = replace this patch
    const float* weight;   // [batch, rows, columns], 0 or more, 0 = never chosen
    std::int32_t* offset;  // [batch, best, 2, rows, columns]
    float* share;          // [batch, best, rows, columns]
    PatchSearchSizes sizes;
    float scale;
};

// Bytes that patchSearch() needs, 0 where the sizes are not allowed: each is 1 or more, and the tensors and the grid must
// stay within what 32-bit launches can number. Larger sizes never need less.
std::size_t patchSearchWorkspaceSize(PatchSearchSizes const& sizes) noexcept;

// Enqueues the operator on `stream`: nothing is allocated, nothing waits, nothing is read back, so it may be captured
// into a CUDA graph. The first call of a process may load the kernels: make it outside a capture. `workspace` is device
// memory aligned to 16 bytes; its content may be anything.
//
// Returns cudaErrorInvalidValue for sizes, pointers, alignment or a workspace that are not as said above,
// otherwise the status of the launches.
cudaError_t patchSearch(
    PatchSearchParams const& params, void* workspace, std::size_t workspaceBytes, cudaStream_t stream) noexcept;

}  // namespace iic
