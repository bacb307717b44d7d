// Checks the arguments and enqueues the kernel of the match, once for each sweep.
#include "patch_match.h"

#include "arguments.h"
#include "match_patches.cuh"

namespace iic {
namespace {

#ifdef IIC_HOST_SHIM
constexpr int kMatchThreads = 32;  // a thread of the host costs far more than one of a GPU
#else
constexpr int kMatchThreads = 128;
#endif

bool sizesAllowed(PatchMatchSizes const& s) {
    return typeAllowed(s.type) && s.batch >= 1 && s.batch <= kMaxGrid && s.channels >= 1
        && productAllowed({s.rows, s.columns, 32});  // a warp for each patch; its 16 pixels are less
}

bool stepsAllowed(PatchMatchParams const& p) {
    if (p.sweeps < 1 || p.sweeps > kMostSweeps) {
        return false;
    }
    for (int sweep = 0; sweep < p.sweeps; ++sweep) {
        if (p.steps[sweep] < 1) {
            return false;
        }
    }
    return true;
}

}  // namespace

// One more copy of the offsets: sweeps write it and `matched` in turn.
std::size_t patchMatchWorkspaceSize(PatchMatchSizes const& sizes) noexcept {
    return sizesAllowed(sizes) ? sizeof(std::int32_t) * 2 * sizes.batch * sizes.rows * sizes.columns : 0;
}

cudaError_t patchMatch(
    PatchMatchParams const& params, void* workspace, std::size_t workspaceBytes, cudaStream_t stream) noexcept {
    PatchMatchSizes const& sizes = params.sizes;
    if (!sizesAllowed(sizes) || !stepsAllowed(params) || workspaceBytes < patchMatchWorkspaceSize(sizes)
        || !pointersAllowed({params.features, params.valid, params.offset, params.share, params.matched, params.cost,
            workspace})) {
        return cudaErrorInvalidValue;
    }
    auto* const kernel = sizes.type == DataType::kFloat16 ? matchPatchesKernel<Half, kMatchThreads>
                                                          : matchPatchesKernel<float, kMatchThreads>;
    dim3 const grid(ceilDiv(sizes.rows * sizes.columns * 32, kMatchThreads), sizes.batch);
    std::int32_t const* before = params.offset;
    cudaError_t status = cudaSuccess;
    for (int sweep = 0; sweep < params.sweeps && status == cudaSuccess; ++sweep) {
        bool const intoResult = (params.sweeps - sweep) % 2 == 1;  // so that the last one writes the result
        std::int32_t* const after = intoResult ? params.matched : static_cast<std::int32_t*>(workspace);
        status = launch(kernel, grid, kMatchThreads, stream, params, before, after, params.steps[sweep]);
        before = after;
    }
    return status;
}

}  // namespace iic
