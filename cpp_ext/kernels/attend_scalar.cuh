// The softmax-weighted sum over the valid patches in plain CUDA C++: any type, any descriptor length. It is the path of
// float32, and the one that the host tests run as it is.
#pragma once

#include <cmath>

#include "workspace.cuh"

namespace iic {

constexpr float kLog2E = 1.4426950408889634F;

// kTy x kTx threads; each holds kRm rows, kRn patches of a step and kRw values. kDepth descriptor entries at a time.
template <int kTy, int kTx, int kRm, int kRn, int kRw, int kDepth>
struct ScalarTile {
    static constexpr int ty = kTy, tx = kTx, rm = kRm, rn = kRn, rw = kRw, depth = kDepth;
    static constexpr int threads = kTy * kTx;
    static constexpr Geometry geometry{kTy * kRm, kTx * kRn, kTx * kRw};
};

// Copies `depth` descriptor entries of the patches named in `index`, turned so that a step of the product reads a row.
// What lies behind the descriptor's end is 0.
template <typename T, int kThreads, int kDepth, int kPatches, int kStride>
__device__ void loadDescriptors(float* to, T const* from, int const* index, int first, int descriptor) {
    for (int e = threadIdx.x; e < kPatches * kDepth; e += kThreads) {
        int const patch = e / kDepth;
        int const d = e % kDepth;
        bool const inside = first + d < descriptor;
        std::size_t const at = static_cast<std::size_t>(index[patch]) * descriptor + first + d;
        to[d * kStride + patch] = inside ? static_cast<float>(from[at]) : 0.0F;
    }
}

template <typename T, typename Tile>
__global__ void __launch_bounds__(Tile::threads) attendScalarKernel(PatchReplaceParams params, Workspace ws) {
    constexpr int kRows = Tile::geometry.rows;
    constexpr int kCols = Tile::geometry.cols;
    constexpr int kWidth = Tile::geometry.width;
    constexpr int kDepth = Tile::depth;
    // One more than needed, so that neighbouring threads use different banks.
    constexpr int kRowStride = kRows + 1;
    constexpr int kColStride = kCols + 1;
    IIC_SHARED(float, qs, kDepth * kRowStride);
    IIC_SHARED(float, ks, kDepth * kColStride);
    IIC_SHARED(float, vs, kCols * kWidth);
    IIC_SHARED(float, ps, kRows * kColStride);
    IIC_SHARED(float, rowMaximum, kRows);
    IIC_SHARED(float, rowFactor, kRows);

    WorkUnit const work = takeUnit(params, ws);
    if (!work.any) {
        return;
    }
    int const me = threadIdx.x;
    int const myRow = me / Tile::tx * Tile::rm;
    int const myCol = me % Tile::tx;
    std::size_t const picture = blockIdx.z;
    std::size_t const patchesBefore = picture * params.patches;
    T const* q = static_cast<T const*>(params.q) + patchesBefore * params.descriptor;
    T const* k = static_cast<T const*>(params.k) + patchesBefore * params.descriptor;
    T const* v = static_cast<T const*>(params.v) + patchesBefore * params.width + work.firstValue;
    int const* rows = ws.rows + picture * ws.rowsStride + work.firstRow;
    float const scale = params.scale * kLog2E;  // exp2f is cheaper than expf

    float sum[Tile::rm] = {};
    float acc[Tile::rm][Tile::rw] = {};
    for (int r = me; r < kRows; r += Tile::threads) {
        rowMaximum[r] = -INFINITY;
    }
    for (int tile = work.firstTile; tile < work.endTile; ++tile) {
        std::size_t const colsBefore = picture * ws.colsStride + static_cast<std::size_t>(tile) * kCols;
        int const* cols = ws.cols + colsBefore;
        float logit[Tile::rm][Tile::rn] = {};
        for (int d0 = 0; d0 < params.descriptor; d0 += kDepth) {
            __syncthreads();  // the step before is done with the shared arrays
            loadDescriptors<T, Tile::threads, kDepth, kRows, kRowStride>(qs, q, rows, d0, params.descriptor);
            loadDescriptors<T, Tile::threads, kDepth, kCols, kColStride>(ks, k, cols, d0, params.descriptor);
            __syncthreads();
            for (int d = 0; d < kDepth; ++d) {
#pragma unroll
                for (int i = 0; i < Tile::rm; ++i) {
                    float const left = qs[d * kRowStride + myRow + i];
#pragma unroll
                    for (int j = 0; j < Tile::rn; ++j) {
                        logit[i][j] += left * ks[d * kColStride + myCol + j * Tile::tx];
                    }
                }
            }
        }
#pragma unroll
        for (int j = 0; j < Tile::rn; ++j) {
            int const c = myCol + j * Tile::tx;
            float const logWeight = ws.logWeight[colsBefore + c];
#pragma unroll
            for (int i = 0; i < Tile::rm; ++i) {
                logit[i][j] = logit[i][j] * scale + logWeight;
                ps[(myRow + i) * kColStride + c] = logit[i][j];
            }
        }
        for (int e = me; e < IIC_TILE_BOUND(kCols) * kWidth; e += Tile::threads) {
            int const value = e % kWidth;
            std::size_t const at = static_cast<std::size_t>(cols[e / kWidth]) * params.width + value;
            vs[e] = value < work.valueCount ? static_cast<float>(v[at]) : 0.0F;
        }
        __syncthreads();
        for (int r = me; r < kRows; r += Tile::threads) {
            float const before = rowMaximum[r];
            float maximum = before;
            for (int c = 0; c < kCols; ++c) {
                maximum = fmaxf(maximum, ps[r * kColStride + c]);
            }
            rowMaximum[r] = maximum;
            rowFactor[r] = exp2f(before - maximum);
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < Tile::rm; ++i) {
            float const maximum = rowMaximum[myRow + i];
            float const factor = rowFactor[myRow + i];
            sum[i] *= factor;
#pragma unroll
            for (int j = 0; j < Tile::rw; ++j) {
                acc[i][j] *= factor;
            }
#pragma unroll
            for (int j = 0; j < Tile::rn; ++j) {
                ps[(myRow + i) * kColStride + myCol + j * Tile::tx] = exp2f(logit[i][j] - maximum);
            }
        }
        IIC_SYNC();
        for (int c = 0; c < kCols; ++c) {
#pragma unroll
            for (int i = 0; i < Tile::rm; ++i) {
                float const share = ps[(myRow + i) * kColStride + c];
                sum[i] += share;  // every thread of the row adds the same, which saves a reduction
#pragma unroll
                for (int j = 0; j < Tile::rw; ++j) {
                    acc[i][j] += share * vs[c * kWidth + myCol + j * Tile::tx];
                }
            }
        }
    }

#pragma unroll
    for (int i = 0; i < Tile::rm; ++i) {
        int const r = myRow + i;
        if (r >= work.rowCount) {
            continue;
        }
        std::size_t const partRow = work.part * kRows + r;
        std::size_t const partAt = partRow * ws.partialStride + work.firstValue;
        T* out = static_cast<T*>(params.out) + (patchesBefore + rows[r]) * params.width + work.firstValue;
        if (!work.whole && blockIdx.y == 0 && myCol == 0) {
            ws.statistics[partRow] = RowStatistics{rowMaximum[r], sum[i]};
        }
#pragma unroll
        for (int j = 0; j < Tile::rw; ++j) {
            int const value = myCol + j * Tile::tx;
            if (value >= work.valueCount) {
                continue;
            }
            if (work.whole) {
                out[value] = static_cast<T>(acc[i][j] / sum[i]);
            } else {
                ws.partial[partAt + value] = acc[i][j];
            }
        }
    }
}

}  // namespace iic
