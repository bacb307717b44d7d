// Launcher of iic::PatchReplace, version 5. What it computes is written in docs/patch-replace.md.
#pragma once

#include "operand_types.h"

namespace iic {

struct PatchReplaceSizes {
    int batch;
    int channels;
    int height;  // in pixels
    int width;
    int rows;  // of patches; height / rows = width / columns is a whole number of 2 or more
    int columns;
    int best;
    DataType type;  // of detail, inside, mixed and missing
};

// Device pointers of contiguous tensors, each aligned to 16 bytes. No output may overlap an input. An offset may be any
// number: where it leads out of the map, the nearest pixel is read.
struct PatchReplaceParams {
    const void* detail;          // [batch, channels, height, width]
    const void* inside;          // [batch, 1, height, width], above 0 = a pixel to write
    const std::int32_t* offset;  // [batch, best, 2, rows, columns]
    const float* share;          // [batch, best, rows, columns]
    void* mixed;                 // [batch, channels, height, width]
    void* missing;               // [batch, 1, height, width], written 1 or 0
    PatchReplaceSizes sizes;
};

// Whether patchReplace() takes these sizes: each is 1 or more, patches are as said above, and the tensors and the grid
// stay within what 32-bit launches can number.
bool patchReplaceAllowed(PatchReplaceSizes const& sizes) noexcept;

// Enqueues the operator on `stream`, one kernel: nothing is allocated, nothing waits, nothing is read back, so it may be
// captured into a CUDA graph. The first call of a process may load the kernel: make it outside a capture. It needs no
// workspace.
//
// Returns cudaErrorInvalidValue for sizes, pointers or alignment that are not as said above, otherwise the status of the
// launch.
cudaError_t patchReplace(PatchReplaceParams const& params, cudaStream_t stream) noexcept;

}  // namespace iic
