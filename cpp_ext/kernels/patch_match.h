// Launcher of iic::PatchMatch, version 5. What it computes is written in docs/patch-replace.md.
#pragma once

#include "operand_types.h"

namespace iic {

constexpr int kMatchPatch = 4;  // pixels of a patch along either axis
constexpr int kMostSweeps = 16;

struct PatchMatchSizes {
    int batch;
    int channels;
    int rows;  // of patches
    int columns;
    DataType type;  // of features
};

// Device pointers of contiguous tensors, each aligned to 16 bytes. No output may overlap an input. An offset may be any
// number: where it leads out of the image, the nearest pixels are read.
struct PatchMatchParams {
    const void* features;         // [batch, channels, 4 * rows, 4 * columns]
    const float* valid;           // [batch, 4 * rows, 4 * columns], above 0 = a patch may be copied that begins here
    const std::int32_t* offset;   // [batch, 1, 2, rows, columns]
    const float* share;           // [batch, 1, rows, columns], above 0 = a hole patch
    std::int32_t* matched;        // [batch, 1, 2, rows, columns]
    float* cost;                  // [batch, 1, rows, columns]
    PatchMatchSizes sizes;
    int sweeps;              // 1 to kMostSweeps
    int steps[kMostSweeps];  // of the sweeps, each 1 or more; those that are left over are not read
};

// Bytes that patchMatch() needs, 0 where the sizes are not allowed: each is 1 or more, and the tensors and the grid must
// stay within what 32-bit launches can number. Larger sizes never need less.
std::size_t patchMatchWorkspaceSize(PatchMatchSizes const& sizes) noexcept;

// Enqueues the operator on `stream`, one kernel for each sweep: nothing is allocated, nothing waits, nothing is read
// back, so it may be captured into a CUDA graph. The first call of a process may load the kernel: make it outside a
// capture. `workspace` is device memory aligned to 16 bytes; its content may be anything.
//
// Returns cudaErrorInvalidValue for sizes, steps, pointers, alignment or a workspace that are not as said above,
// otherwise the status of the launches.
cudaError_t patchMatch(
    PatchMatchParams const& params, void* workspace, std::size_t workspaceBytes, cudaStream_t stream) noexcept;

}  // namespace iic
