// The search on tensor cores: float16 descriptors, everything after the product in float32.
//
// A block holds 128 hole patches, a warp 32 of them, whose descriptors stay in its registers. While one tile of 64 valid
// patches is worked on, the next one is copied. Each ldmatrix feeds four products.
#pragma once

#include "best_list.cuh"
#include "search_workspace.cuh"
#include "warp.cuh"

namespace iic {

constexpr int kTensorWarps = 4;
constexpr int kTensorThreads = 32 * kTensorWarps;
constexpr int kWarpRows = 32;
constexpr Geometry kTensorGeometry{kWarpRows * kTensorWarps, 64};
// Rows of shared memory are 16 bytes longer than their content: the 8 rows of a tile then lie in different banks.
constexpr int kRowPadding = 8;
constexpr int kLanesPerRow = 4;  // neighbouring threads that copy one descriptor
constexpr int kRowsPerPass = kTensorThreads / kLanesPerRow;
constexpr int kPiece = 4;  // values of one copyAsync(); descriptors of 76 start on 8 bytes and not on 16

// The patches that this thread copies of a tile.
template <int kPasses>
__device__ void fetchIndices(int (&indices)[kPasses], int const* tile) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
        indices[pass] = tile[pass * kRowsPerPass + threadIdx.x / kLanesPerRow];
    }
}

// Copies descriptors into shared memory, zeros behind them up to kSteps * 16 values.
template <int kSteps, int kPasses>
__device__ void copyDescriptors(Half* to, Half const* from, int const (&indices)[kPasses], int descriptor) {
    constexpr int kStride = 16 * kSteps + kRowPadding;
    bool const aligned = descriptor % kPiece == 0;
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
        Half const* row = from + static_cast<std::size_t>(indices[pass]) * descriptor;
        Half* target = to + (pass * kRowsPerPass + threadIdx.x / kLanesPerRow) * kStride;
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            int const first = (step * kLanesPerRow + threadIdx.x % kLanesPerRow) * kPiece;
            if (aligned) {
                bool const exists = first < descriptor;
                copyAsync(target + first, exists ? row + first : row, exists);
            } else {
                for (int e = first; e < first + kPiece; ++e) {
                    target[e] = e < descriptor ? row[e] : static_cast<Half>(0.0F);
                }
            }
        }
    }
}

// Merges the lists of the four lanes that share a row; each of them has the result.
template <int kBest>
__device__ void mergeQuad(BestList<kBest>& best) {
#pragma unroll
    for (int mask = 1; mask <= 2; mask *= 2) {
        float logit[kBest];
        int number[kBest];
#pragma unroll
        for (int k = 0; k < kBest; ++k) {
            logit[k] = fromNeighbour(best.logit[k], mask);
            number[k] = fromNeighbour(best.number[k], mask);
        }
#pragma unroll
        for (int k = 0; k < kBest; ++k) {
            best.offer(logit[k], number[k]);
        }
    }
}

// kSteps: descriptor length in steps of 16.
template <int kSteps, int kBest>
__global__ void __launch_bounds__(kTensorThreads, kBest == 1 && kSteps <= 5 ? 4 : 3)
    searchTensorKernel(PatchSearchParams params, SearchWorkspace ws) {
    constexpr int kRows = kTensorGeometry.rows;
    constexpr int kCols = kTensorGeometry.cols;
    constexpr int kStride = 16 * kSteps + kRowPadding;
    constexpr int kTile = kCols * kStride;
    constexpr int kGroup = 32;  // valid patches whose products are in registers at once
    static_assert(kRows == 2 * kCols, "the hole patches are staged in the two buffers of valid ones");
    IIC_SHARED(Half, keys, 2 * kTile);

    WorkUnit const work = takeUnit(ws);
    if (work.rowCount <= 0) {
        return;
    }
    int const lane = threadIdx.x % 32;
    int const warpRow = threadIdx.x / 32 * kWarpRows;
    std::size_t const image = blockIdx.y;
    int const descriptor = params.sizes.descriptor;
    std::size_t const before = image * params.sizes.rows * params.sizes.columns;
    Half const* q = static_cast<Half const*>(params.q) + before * descriptor;
    int const* rows = ws.rows + image * ws.rowsStride + work.firstRow;
    int const* cols = ws.cols + image * ws.colsStride;
    float const* logWeights = ws.logWeight + image * ws.colsStride;
    // The indices are fetched a tile before they are needed, or each copy would wait for them.
    int indices[kCols / kRowsPerPass];
    auto const copyTile = [&](int tile) {
        copyDescriptors<kSteps>(keys + tile % 2 * kTile, q, indices, descriptor);
        if (tile + 1 < work.endTile) {
            fetchIndices(indices, cols + (tile + 1) * kCols);
        }
    };

    unsigned query[kSteps][2][4];
    int queryIndices[kRows / kRowsPerPass];
    fetchIndices(queryIndices, rows);
    fetchIndices(indices, cols + work.firstTile * kCols);
    copyDescriptors<kSteps>(keys, q, queryIndices, descriptor);
    waitForCopies();
    __syncthreads();
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            int const row = warpRow + half * 16 + lane % 16;
            loadTiles(query[step][half], keys + row * kStride + step * 16 + lane / 16 * 8);
        }
    }
    __syncthreads();

    // Of the rows lane / 4 + 8 i of the warp.
    BestList<kBest> best[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        best[i].clear();
    }
    copyTile(work.firstTile);
    for (int tile = work.firstTile; tile < work.endTile; ++tile) {
        waitForCopies();
        __syncthreads();  // this tile is there, and nobody reads the buffer that the next one goes to
        if (tile + 1 < work.endTile) {
            copyTile(tile + 1);
        }
        if (warpRow >= work.rowCount) {
            continue;  // a small hole: this warp only copies
        }
        Half const* key = keys + tile % 2 * kTile;
#pragma unroll 1
        for (int group = 0; group < kCols; group += kGroup) {
            int const first = tile * kCols + group;
            float2 logWeight[kGroup / 8];  // read early, used after the products
#pragma unroll
            for (int c = 0; c < kGroup / 8; ++c) {
                logWeight[c] = reinterpret_cast<float2 const*>(logWeights + first)[c * 4 + lane % 4];
            }
            float product[kGroup / 8][2][4] = {};
#pragma unroll
            for (int step = 0; step < kSteps; ++step) {
#pragma unroll
                for (int c = 0; c < kGroup; c += 16) {
                    unsigned tiles[4];
                    int const row = group + c + lane / 16 * 8 + lane % 8;
                    loadTiles(tiles, key + row * kStride + step * 16 + lane / 8 % 2 * 8);
#pragma unroll
                    for (int half = 0; half < 2; ++half) {
                        multiplyAdd(product[c / 8][half], query[step][half], tiles[0], tiles[1]);
                        multiplyAdd(product[c / 8 + 1][half], query[step][half], tiles[2], tiles[3]);
                    }
                }
            }
            // Places among the valid patches ascend as their numbers do.
#pragma unroll
            for (int c = 0; c < kGroup / 8; ++c) {
                int const place = first + c * 8 + lane % 4 * 2;
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    float const* pair = &product[c][i / 2][i % 2 * 2];
                    best[i].offerNext(fmaf(pair[0], params.scale, logWeight[c].x), place);
                    best[i].offerNext(fmaf(pair[1], params.scale, logWeight[c].y), place + 1);
                }
            }
        }
    }
    if (warpRow >= work.rowCount) {
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        mergeQuad(best[i]);
        int const r = warpRow + i * 8 + lane / 4;
        if (lane % 4 != 0 || r >= work.rowCount) {
            continue;
        }
#pragma unroll
        for (int k = 0; k < kBest; ++k) {
            int const place = best[i].number[k];
            int const patch = place == kNoPatch ? kNoPatch : cols[place];
            ws.found[work.found + r * kBest + k] = Candidate{best[i].logit[k], patch};
        }
    }
}

}  // namespace iic
