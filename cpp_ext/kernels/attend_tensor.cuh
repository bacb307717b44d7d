// The softmax-weighted sum over the valid patches on tensor cores: float16 in and out, float32 sums and statistics.
//
// A block holds 64 hole rows, a warp 16 of them, from the logits to the result: the shares never leave its registers.
// While one tile of 32 patches is worked on, the next one is copied. The logits are computed once for each chunk of 192
// values; a wider chunk would save some of that and cost registers, of which the result takes 96 a thread.
#pragma once

#include <cmath>

#include "attend_scalar.cuh"
#include "warp.cuh"
#include "workspace.cuh"

namespace iic {

constexpr int kTensorWarps = 4;
constexpr int kTensorThreads = 32 * kTensorWarps;
constexpr Geometry kTensorGeometry{16 * kTensorWarps, 32, 192};
// Rows of shared memory are 16 bytes longer than their content: the 8 rows of a tile then lie in different banks.
constexpr int kRowPadding = 8;
constexpr int kValueStride = kTensorGeometry.width + kRowPadding;
// Shares are held as half, whose smallest step is 2^-24. Times 2^15 the largest share still fits, and what is lost as
// 0 is below 2^-40, that is 1e-12 of the largest.
constexpr float kShareShift = 15.0F;

constexpr int kLanesPerRow = 8;  // neighbouring threads that copy one row
constexpr int kRowsPerPass = kTensorThreads / kLanesPerRow;

// The patches that this thread copies of a tile.
template <int kPasses>
__device__ void fetchIndices(int (&indices)[kPasses], int const* tile) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
        indices[pass] = tile[pass * kRowsPerPass + threadIdx.x / kLanesPerRow];
    }
}

// Copies rows of `rowLength` values into shared memory in pieces of kPiece, `count` values of each, zeros behind them.
template <int kPieces, int kPiece, int kStride, int kPasses>
__device__ void copyPatches(Half* to, Half const* from, int const (&indices)[kPasses], int rowLength, int count) {
    bool const aligned = rowLength % kPiece == 0;
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
        Half const* row = from + static_cast<std::size_t>(indices[pass]) * rowLength;
        Half* target = to + (pass * kRowsPerPass + threadIdx.x / kLanesPerRow) * kStride;
#pragma unroll
        for (int piece = 0; piece < kPieces; piece += kLanesPerRow) {
            int const first = (piece + threadIdx.x % kLanesPerRow) * kPiece;
            if (first >= kPieces * kPiece) {
                continue;
            }
            if (aligned) {
                bool const inside = first < count;
                copyAsync<kPiece * 2>(target + first, inside ? row + first : row, inside);
            } else {
                for (int e = first; e < first + kPiece; ++e) {
                    target[e] = e < count ? row[e] : static_cast<Half>(0.0F);
                }
            }
        }
    }
}

// Blocks that a multiprocessor is to hold: registers are given out for no more than its shared memory allows.
#if __CUDA_ARCH__ == 750 || __CUDA_ARCH__ == 860 || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200
#define IIC_TENSOR_BLOCKS(steps) 2
#else
#define IIC_TENSOR_BLOCKS(steps) ((steps) <= 5 ? 3 : 2)
#endif

// kSteps: descriptor length in steps of 16.
template <int kSteps>
__global__ void __launch_bounds__(kTensorThreads, IIC_TENSOR_BLOCKS(kSteps)) attendTensorKernel(PatchReplaceParams params, Workspace ws) {
    constexpr int kRows = kTensorGeometry.rows;
    constexpr int kCols = kTensorGeometry.cols;
    constexpr int kWidth = kTensorGeometry.width;
    constexpr int kKeyStride = 16 * kSteps + kRowPadding;
    constexpr int kKeyTile = kCols * kKeyStride;
    constexpr int kValueTile = kCols * kValueStride;
    constexpr int kGroup = 64;  // values that are computed or skipped together
    static_assert(kRows == 2 * kCols, "the queries are staged in the two key buffers");
    IIC_SHARED(Half, keys, 2 * kKeyTile);
    IIC_SHARED(Half, values, 2 * kValueTile);

    WorkUnit const work = takeUnit(params, ws);
    if (!work.any) {
        return;
    }
    int const lane = threadIdx.x % 32;
    int const warpRow = threadIdx.x / 32 * 16;
    std::size_t const patchesBefore = static_cast<std::size_t>(blockIdx.z) * params.patches;
    Half const* q = static_cast<Half const*>(params.q) + patchesBefore * params.descriptor;
    Half const* k = static_cast<Half const*>(params.k) + patchesBefore * params.descriptor;
    Half const* v = static_cast<Half const*>(params.v) + patchesBefore * params.width + work.firstValue;
    int const* rows = ws.rows + static_cast<std::size_t>(blockIdx.z) * ws.rowsStride + work.firstRow;
    int const* cols = ws.cols + static_cast<std::size_t>(blockIdx.z) * ws.colsStride;
    float const* logWeights = ws.logWeight + static_cast<std::size_t>(blockIdx.z) * ws.colsStride;
    float const scale = params.scale * kLog2E;
    // The indices are fetched a tile before they are needed, or each copy would wait for them.
    int indices[kCols / kRowsPerPass];
    auto const copyTile = [&](int tile) {
        Half* key = keys + tile % 2 * kKeyTile;
        Half* value = values + tile % 2 * kValueTile;
        copyPatches<4 * kSteps, 4, kKeyStride>(key, k, indices, params.descriptor, params.descriptor);
        copyPatches<kWidth / 8, 8, kValueStride>(value, v, indices, params.width, work.valueCount);
        if (tile + 1 < work.endTile) {
            fetchIndices(indices, cols + (tile + 1) * kCols);
        }
    };

    unsigned query[kSteps][4];
    int queryIndices[kRows / kRowsPerPass];
    fetchIndices(queryIndices, rows);
    fetchIndices(indices, cols + work.firstTile * kCols);
    copyPatches<4 * kSteps, 4, kKeyStride>(keys, q, queryIndices, params.descriptor, params.descriptor);
    waitForCopies();
    __syncthreads();
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        loadTiles(query[step], keys + (warpRow + lane % 16) * kKeyStride + step * 16 + lane / 16 * 8);
    }
    __syncthreads();

    // Index 0: row lane / 4 of the warp's rows, index 1: the row 8 below.
    float maximum[2] = {-INFINITY, -INFINITY};
    float sum[2] = {};
    float acc[kWidth / 8][4] = {};
    copyTile(work.firstTile);
    for (int tile = work.firstTile; tile < work.endTile; ++tile) {
        waitForCopies();
        __syncthreads();  // this tile is there, and nobody reads the buffer that the next one goes to
        if (tile + 1 < work.endTile) {
            copyTile(tile + 1);
        }
        Half const* key = keys + tile % 2 * kKeyTile;
        Half const* value = values + tile % 2 * kValueTile;
        float logWeight[kCols / 8][2];  // read early, used after the logits
#pragma unroll
        for (int c = 0; c < kCols / 8; ++c) {
            float2 const both = reinterpret_cast<float2 const*>(logWeights + tile * kCols)[c * 4 + lane % 4];
            logWeight[c][0] = both.x;
            logWeight[c][1] = both.y;
        }

        float logit[kCols / 8][4] = {};
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
#pragma unroll
            for (int c = 0; c < kCols; c += 16) {
                unsigned tiles[4];
                int const row = c + lane / 16 * 8 + lane % 8;
                loadTiles(tiles, key + row * kKeyStride + step * 16 + lane / 8 % 2 * 8);
                multiplyAdd(logit[c / 8], query[step], tiles[0], tiles[1]);
                multiplyAdd(logit[c / 8 + 1], query[step], tiles[2], tiles[3]);
            }
        }

        float top[2] = {maximum[0], maximum[1]};
#pragma unroll
        for (int c = 0; c < kCols / 8; ++c) {
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                logit[c][e] = logit[c][e] * scale + logWeight[c][e % 2];
                top[e / 2] = fmaxf(top[e / 2], logit[c][e]);
            }
        }
        float factor[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            top[half] = fmaxf(top[half], fromNeighbour(top[half], 1));
            top[half] = fmaxf(top[half], fromNeighbour(top[half], 2));
            factor[half] = exp2f(maximum[half] - top[half]);
            maximum[half] = top[half];
            sum[half] *= factor[half];
        }
        // After the first tiles the maximum hardly ever changes.
        if (anyLane(factor[0] != 1.0F || factor[1] != 1.0F)) {
#pragma unroll
            for (int n = 0; n < kWidth / 8; ++n) {
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    acc[n][e] *= factor[e / 2];
                }
            }
        }
        unsigned share[kCols / 8][2];
#pragma unroll
        for (int c = 0; c < kCols / 8; ++c) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                float const shift = kShareShift - maximum[half];
                share[c][half] = packHalves(powerOfTwo(logit[c][2 * half] + shift), powerOfTwo(logit[c][2 * half + 1] + shift));
                // What is summed is what is multiplied: the shares of a row are 1 together in spite of rounding.
                float2 const rounded = unpackHalves(share[c][half]);
                sum[half] += rounded.x + rounded.y;
            }
        }

#pragma unroll
        for (int group = 0; group < kWidth; group += kGroup) {
            if (group >= work.valueCount) {
                break;
            }
#pragma unroll
            for (int c = 0; c < kCols; c += 16) {
                unsigned const shares[4] = {share[c / 8][0], share[c / 8][1], share[c / 8 + 1][0], share[c / 8 + 1][1]};
#pragma unroll
                for (int n = group; n < group + kGroup; n += 16) {
                    unsigned tiles[4];
                    loadTilesTransposed(tiles, value + (c + lane % 16) * kValueStride + n + lane / 16 * 8);
                    multiplyAdd(acc[n / 8], shares, tiles[0], tiles[1]);
                    multiplyAdd(acc[n / 8 + 1], shares, tiles[2], tiles[3]);
                }
            }
        }
    }

#pragma unroll
    for (int half = 0; half < 2; ++half) {
        sum[half] += fromNeighbour(sum[half], 1);
        sum[half] += fromNeighbour(sum[half], 2);
        int const r = warpRow + half * 8 + lane / 4;
        if (r >= work.rowCount) {
            continue;
        }
        std::size_t const partRow = work.part * kRows + r;
        std::size_t const partAt = partRow * ws.partialStride + work.firstValue;
        Half* out = static_cast<Half*>(params.out) + (patchesBefore + rows[r]) * params.width + work.firstValue;
        if (!work.whole && blockIdx.y == 0 && lane % 4 == 0) {
            ws.statistics[partRow] = RowStatistics{maximum[half], sum[half]};
        }
        float const divisor = 1.0F / sum[half];
#pragma unroll
        for (int n = 0; n < kWidth / 8; ++n) {
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                int const at = n * 8 + lane % 4 * 2 + e;
                if (at >= work.valueCount) {
                    continue;
                }
                float const result = acc[n][2 * half + e];
                if (work.whole) {
                    out[at] = static_cast<Half>(result * divisor);
                } else {
                    ws.partial[partAt + at] = result;
                }
            }
        }
    }
}

}  // namespace iic
