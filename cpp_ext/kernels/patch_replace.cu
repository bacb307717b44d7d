// Checks the arguments and enqueues the three kernels: compact, attend, finish.
#include "patch_replace.h"

#include <cstdint>
#include <limits>

#include "attend_scalar.cuh"
#include "attend_tensor.cuh"
#include "compact.cuh"
#include "finish.cuh"

namespace iic {
namespace {

#ifdef IIC_HOST_SHIM
// A thread of the host costs far more than one of a GPU.
using AttendTile = ScalarTile<4, 4, 2, 2, 2, 3>;
constexpr int kCompactThreads = 16;
constexpr int kFinishThreads = 32;
#else
using AttendTile = ScalarTile<16, 16, 4, 2, 12, 16>;
constexpr int kCompactThreads = 1024;
constexpr int kFinishThreads = 256;
#endif

constexpr int kMaxGrid = 65535;  // in y and z
constexpr int kLongestTensorDescriptor = 128;

bool onTensorCores(DataType type, int descriptor) {
    return type == DataType::kFloat16 && descriptor <= kLongestTensorDescriptor;
}

Geometry geometryOf(DataType type, int descriptor) {
    return onTensorCores(type, descriptor) ? kTensorGeometry : AttendTile::geometry;
}

// Within a picture every offset fits an int.
bool sizesAllowed(int batch, int patches, int descriptor, int width, DataType type) {
    if (batch < 1 || patches < 1 || descriptor < 1 || width < 1 || batch > kMaxGrid) {
        return false;
    }
    if (type != DataType::kFloat32 && type != DataType::kFloat16) {
        return false;
    }
    Geometry const geometry = geometryOf(type, descriptor);
    std::int64_t const most = std::numeric_limits<int>::max() - 1024;
    return static_cast<std::int64_t>(patches) * width <= most && static_cast<std::int64_t>(patches) * descriptor <= most
        && chunkCount(width, geometry) <= kMaxGrid;
}

bool pointerAllowed(void const* pointer) {
    return pointer != nullptr && reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

bool pointersAllowed(PatchReplaceParams const& p, void* workspace) {
    return pointerAllowed(p.q) && pointerAllowed(p.k) && pointerAllowed(p.v) && pointerAllowed(p.hole)
        && pointerAllowed(p.weight) && pointerAllowed(p.out) && pointerAllowed(p.replaced) && pointerAllowed(workspace);
}

// As many blocks as keep the device busy: two for each multiprocessor. Each further one costs memory traffic.
cudaError_t limitParts(Workspace& ws, int blocksPerPart) {
    int device = 0;
    int processors = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess) {
        status = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
    }
    ws.parts = smaller(ws.parts, larger(1, 2 * processors / blocksPerPart));
    return status;
}

template <typename T>
cudaError_t launchFinish(PatchReplaceParams const& params, Workspace const& ws, cudaStream_t stream) {
    constexpr int kPiece = 16 / sizeof(T);
    bool const aligned = params.width % kPiece == 0;
    int const threads = params.patches * (aligned ? params.width / kPiece : params.width);
    dim3 const grid(ceilDiv(threads, kFinishThreads), params.batch);
    return launch(aligned ? finishKernel<T, kPiece, kFinishThreads> : finishKernel<T, 1, kFinishThreads>, grid,
        kFinishThreads, stream, params, ws);
}

cudaError_t launchAttend(PatchReplaceParams const& params, Workspace const& ws, cudaStream_t stream) {
    int const rowTiles = ceilDiv(params.patches, ws.geometry.rows);
    dim3 const grid(larger(rowTiles, ws.parts), chunkCount(params.width, ws.geometry), params.batch);
    if (onTensorCores(params.type, params.descriptor)) {
        // The project's descriptor of 76 takes five steps; the other instance is for longer ones.
        auto* const kernel = params.descriptor <= 80 ? attendTensorKernel<5> : attendTensorKernel<8>;
        return launch(kernel, grid, kTensorThreads, stream, params, ws);
    }
    auto* const kernel = params.type == DataType::kFloat16 ? attendScalarKernel<Half, AttendTile>
                                                           : attendScalarKernel<float, AttendTile>;
    return launch(kernel, grid, AttendTile::threads, stream, params, ws);
}

}  // namespace

std::size_t patchReplaceWorkspaceSize(int batch, int patches, int descriptor, int width, DataType type) noexcept {
    if (!sizesAllowed(batch, patches, descriptor, width, type)) {
        return 0;
    }
    return layOut(nullptr, batch, patches, width, geometryOf(type, descriptor)).bytes;
}

cudaError_t patchReplace(
    PatchReplaceParams const& params, void* workspace, std::size_t workspaceBytes, cudaStream_t stream) noexcept {
    if (!sizesAllowed(params.batch, params.patches, params.descriptor, params.width, params.type)
        || !pointersAllowed(params, workspace)) {
        return cudaErrorInvalidValue;
    }
    Geometry const geometry = geometryOf(params.type, params.descriptor);
    Workspace ws = layOut(workspace, params.batch, params.patches, params.width, geometry);
    if (workspaceBytes < ws.bytes) {
        return cudaErrorInvalidValue;
    }
    cudaError_t status = limitParts(ws, params.batch * chunkCount(params.width, geometry));
    if (status == cudaSuccess) {
        status = launch(compactKernel<kCompactThreads>, dim3(params.batch), kCompactThreads, stream, params, ws);
    }
    if (status == cudaSuccess) {
        status = launchAttend(params, ws, stream);
    }
    if (status == cudaSuccess) {
        status = params.type == DataType::kFloat16 ? launchFinish<Half>(params, ws, stream)
                                                   : launchFinish<float>(params, ws, stream);
    }
    return status;
}

}  // namespace iic
