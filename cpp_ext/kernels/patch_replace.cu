// Checks the arguments and enqueues the kernel of the replacement.
#include "patch_replace.h"

#include "arguments.h"
#include "copy_patches.cuh"

namespace iic {
namespace {

#ifdef IIC_HOST_SHIM
constexpr int kCopyThreads = 32;  // a thread of the host costs far more than one of a GPU
#else
constexpr int kCopyThreads = 128;
#endif

// Two pixels a thread: what passes is moved in pieces of 4 or 8 bytes, with many of them under way, and what is copied
// is still read by neighbouring threads from neighbouring pixels.
constexpr int kPixelsPerThread = 2;

template <typename T>
cudaError_t launchCopy(PatchReplaceParams const& params, cudaStream_t stream) {
    PatchReplaceSizes const& sizes = params.sizes;
    bool const aligned = sizes.width % kPixelsPerThread == 0;
    int const pieces = sizes.height * (aligned ? sizes.width / kPixelsPerThread : sizes.width);
    dim3 const grid(ceilDiv(pieces, kCopyThreads), ceilDiv(sizes.channels, kChannelsPerThread), sizes.batch);
    return launch(aligned ? copyPatchesKernel<T, kPixelsPerThread, kCopyThreads> : copyPatchesKernel<T, 1, kCopyThreads>,
        grid, kCopyThreads, stream, params);
}

}  // namespace

bool patchReplaceAllowed(PatchReplaceSizes const& s) noexcept {
    if (!typeAllowed(s.type) || s.batch < 1 || s.batch > kMaxGrid || !productAllowed({s.height, s.width})
        || !productAllowed({s.rows, s.columns, s.best}) || s.channels < 1
        || ceilDiv(s.channels, kChannelsPerThread) > kMaxGrid) {
        return false;
    }
    int const half = s.height / s.rows;
    return half >= 2 && s.height == half * s.rows && s.width % s.columns == 0 && s.width / s.columns == half;
}

cudaError_t patchReplace(PatchReplaceParams const& params, cudaStream_t stream) noexcept {
    if (!patchReplaceAllowed(params.sizes)
        || !pointersAllowed(
            {params.detail, params.inside, params.offset, params.share, params.mixed, params.missing})) {
        return cudaErrorInvalidValue;
    }
    return params.sizes.type == DataType::kFloat16 ? launchCopy<Half>(params, stream)
                                                   : launchCopy<float>(params, stream);
}

}  // namespace iic
