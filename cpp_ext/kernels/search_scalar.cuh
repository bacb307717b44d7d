// The search in plain CUDA C++: any type, any descriptor length. It is the path of float32, and the one that the host
// tests run as it is.
#pragma once

#include "best_list.cuh"
#include "search_workspace.cuh"

namespace iic {

// kTy x kTx threads; each holds kRm hole patches and kRn valid patches of a step. kDepth descriptor entries at a time.
template <int kTy, int kTx, int kRm, int kRn, int kDepth>
struct ScalarTile {
    static constexpr int tx = kTx, rm = kRm, rn = kRn, depth = kDepth;
    static constexpr int threads = kTy * kTx;
    static constexpr Geometry geometry{kTy * kRm, kTx * kRn};
};

// Copies `depth` descriptor entries of the patches named in `index`, turned so that a step of the product reads a row.
// What lies behind the descriptor's end is 0.
template <typename T, int kThreads, int kDepth, int kStride>
__device__ void loadDescriptors(float* to, T const* from, int const* index, int patches, int first, int descriptor) {
    for (int e = threadIdx.x; e < patches * kDepth; e += kThreads) {
        int const patch = e / kDepth;
        int const d = e % kDepth;
        bool const exists = first + d < descriptor;
        std::size_t const at = static_cast<std::size_t>(index[patch]) * descriptor + first + d;
        to[d * kStride + patch] = exists ? static_cast<float>(from[at]) : 0.0F;
    }
}

// Two blocks on a multiprocessor: left to itself the compiler takes so few registers that some devices spill.
template <typename T, typename Tile, int kBest>
__global__ void __launch_bounds__(Tile::threads, 2) searchScalarKernel(PatchSearchParams params, SearchWorkspace ws) {
    constexpr int kRows = Tile::geometry.rows;
    constexpr int kCols = Tile::geometry.cols;
    constexpr int kDepth = Tile::depth;
    // 16 bytes more than needed: neighbouring entries then lie in different banks, and a thread's patches are still
    // aligned for one access.
    constexpr int kRowStride = kRows + 4;
    constexpr int kColStride = kCols + 4;
    IIC_SHARED(float, qs, kDepth * kRowStride);
    IIC_SHARED(float, ks, kDepth * kColStride);
    IIC_SHARED(float, logits, kRows * Tile::tx * kBest);
    IIC_SHARED(int, numbers, kRows * Tile::tx * kBest);

    WorkUnit const work = takeUnit(ws);
    if (work.rowCount <= 0) {
        return;
    }
    int const me = threadIdx.x;
    int const myRow = me / Tile::tx * Tile::rm;
    int const myCol = me % Tile::tx * Tile::rn;
    std::size_t const image = blockIdx.y;
    int const descriptor = params.sizes.descriptor;
    std::size_t const before = image * params.sizes.rows * params.sizes.columns;
    T const* q = static_cast<T const*>(params.q) + before * descriptor;
    int const* rows = ws.rows + image * ws.rowsStride + work.firstRow;

    BestList<kBest> best[Tile::rm];
#pragma unroll
    for (int i = 0; i < Tile::rm; ++i) {
        best[i].clear();
    }
    for (int tile = work.firstTile; tile < work.endTile; ++tile) {
        std::size_t const colsBefore = image * ws.colsStride + static_cast<std::size_t>(tile) * kCols;
        int const* cols = ws.cols + colsBefore;
        float product[Tile::rm][Tile::rn] = {};
        for (int d0 = 0; d0 < descriptor; d0 += kDepth) {
            __syncthreads();  // the step before is done with the shared arrays
            loadDescriptors<T, Tile::threads, kDepth, kRowStride>(qs, q, rows, kRows, d0, descriptor);
            loadDescriptors<T, Tile::threads, kDepth, kColStride>(ks, q, cols, kCols, d0, descriptor);
            __syncthreads();
#pragma unroll 4
            for (int d = 0; d < kDepth; ++d) {
#pragma unroll
                for (int i = 0; i < Tile::rm; ++i) {
                    float const left = qs[d * kRowStride + myRow + i];
#pragma unroll
                    for (int j = 0; j < Tile::rn; ++j) {
                        product[i][j] += left * ks[d * kColStride + myCol + j];
                    }
                }
            }
        }
#pragma unroll
        for (int j = 0; j < Tile::rn; ++j) {
            float const logWeight = ws.logWeight[colsBefore + myCol + j];
#pragma unroll
            for (int i = 0; i < Tile::rm; ++i) {
                best[i].offerNext(fmaf(product[i][j], params.scale, logWeight), cols[myCol + j]);
            }
        }
    }

#pragma unroll
    for (int i = 0; i < Tile::rm; ++i) {
#pragma unroll
        for (int k = 0; k < kBest; ++k) {
            int const at = ((myRow + i) * Tile::tx + me % Tile::tx) * kBest + k;
            logits[at] = best[i].logit[k];
            numbers[at] = best[i].number[k];
        }
    }
    IIC_SYNC();
    for (int r = me; r < work.rowCount; r += Tile::threads) {
        BestList<kBest> merged;
        merged.clear();
        for (int e = r * Tile::tx * kBest; e < IIC_TILE_BOUND((r + 1) * Tile::tx * kBest); ++e) {
            merged.offer(logits[e], numbers[e]);
        }
#pragma unroll
        for (int k = 0; k < kBest; ++k) {
            ws.found[work.found + r * kBest + k] = Candidate{merged.logit[k], merged.number[k]};
        }
    }
}

}  // namespace iic
