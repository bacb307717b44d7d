// Checks the arguments and enqueues the kernels of the search: compact, search, merge.
#include "patch_search.h"

#include "arguments.h"
#include "compact.cuh"
#include "search_merge.cuh"
#include "search_scalar.cuh"
#include "search_tensor.cuh"

namespace iic {
namespace {

#ifdef IIC_HOST_SHIM
// A thread of the host costs far more than one of a GPU.
using SearchTile = ScalarTile<4, 4, 2, 2, 3>;
constexpr int kCompactThreads = 16;
constexpr int kMergeThreads = 32;
#else
using SearchTile = ScalarTile<16, 16, 4, 4, 16>;
constexpr int kCompactThreads = 1024;
constexpr int kMergeThreads = 128;
#endif

constexpr int kLongestTensorDescriptor = 128;

bool onTensorCores(PatchSearchSizes const& sizes) {
    return sizes.type == DataType::kFloat16 && sizes.descriptor <= kLongestTensorDescriptor;
}

bool sizesAllowed(PatchSearchSizes const& s) {
    return typeAllowed(s.type) && s.best >= 1 && s.best <= kMostBest && s.batch >= 1 && s.batch <= kMaxGrid
        && productAllowed({s.rows, s.columns, s.descriptor}) && productAllowed({s.rows, s.columns, kQuarters})
        && s.best <= s.rows * s.columns;
}

// As many blocks as keep the device busy: two for each multiprocessor.
cudaError_t limitParts(SearchWorkspace& ws, int batch) {
    int device = 0;
    int processors = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess) {
        status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    }
    ws.parts = smaller(ws.parts, larger(1, 2 * processors / batch));
    return status;
}

template <int kBest>
cudaError_t launchSearch(PatchSearchParams const& params, SearchWorkspace const& ws, cudaStream_t stream) {
    PatchSearchSizes const& sizes = params.sizes;
    int const patches = sizes.rows * sizes.columns;
    dim3 const units(larger(ceilDiv(patches, ws.geometry.rows), ws.parts), sizes.batch);
    cudaError_t status = cudaSuccess;
    if (onTensorCores(sizes)) {
        // The project's descriptor of 76 takes five steps; the other instance is for longer ones.
        auto* const kernel = sizes.descriptor <= 80 ? searchTensorKernel<5, kBest> : searchTensorKernel<8, kBest>;
        status = launch(kernel, units, kTensorThreads, stream, params, ws);
    } else {
        auto* const kernel = sizes.type == DataType::kFloat16 ? searchScalarKernel<Half, SearchTile, kBest>
                                                              : searchScalarKernel<float, SearchTile, kBest>;
        status = launch(kernel, units, SearchTile::threads, stream, params, ws);
    }
    if (status == cudaSuccess) {
        dim3 const grid(ceilDiv(patches, kMergeThreads), sizes.batch);
        status = launch(mergeKernel<kBest, kMergeThreads>, grid, kMergeThreads, stream, params, ws);
    }
    return status;
}

}  // namespace

// Enough for either kernel, so that it does not depend on the type and grows with every size.
std::size_t patchSearchWorkspaceSize(PatchSearchSizes const& sizes) noexcept {
    if (!sizesAllowed(sizes)) {
        return 0;
    }
    std::size_t const tensor = layOut(nullptr, sizes, kTensorGeometry).bytes;
    std::size_t const scalar = layOut(nullptr, sizes, SearchTile::geometry).bytes;
    return tensor > scalar ? tensor : scalar;
}

cudaError_t patchSearch(
    PatchSearchParams const& params, void* workspace, std::size_t workspaceBytes, cudaStream_t stream) noexcept {
    if (!sizesAllowed(params.sizes) || workspaceBytes < patchSearchWorkspaceSize(params.sizes)
        || !pointersAllowed({params.q, params.hole, params.weight, params.offset, params.share, workspace})) {
        return cudaErrorInvalidValue;
    }
    Geometry const geometry = onTensorCores(params.sizes) ? kTensorGeometry : SearchTile::geometry;
    SearchWorkspace ws = layOut(workspace, params.sizes, geometry);
    cudaError_t status = limitParts(ws, params.sizes.batch);
    if (status == cudaSuccess) {
        dim3 const images(params.sizes.batch);
        status = launch(compactKernel<kCompactThreads>, images, kCompactThreads, stream, params, ws);
    }
    if (status == cudaSuccess) {
        status = ws.list == 1 ? launchSearch<1>(params, ws, stream) : launchSearch<kMostBest>(params, ws, stream);
    }
    return status;
}

}  // namespace iic
