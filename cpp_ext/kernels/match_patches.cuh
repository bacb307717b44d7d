// One sweep of the match: one warp for each patch. It reads the offsets of before the sweep and writes them to other
// memory, so that all patches choose at once.
#pragma once

#include "patch_match.h"
#include "warp.cuh"

namespace iic {

constexpr int kMatchCandidates = 13;  // the own offset, those of four neighbours, the own moved in eight directions
constexpr float kCoherence = 1.0F;  // by how much a cost counts less for each patch beside that has the same offset

// A pixel of an axis moved by an offset, the nearest one of the image where that leads out of it. 64 bits, since an
// offset may be any number.
__device__ inline int nearestPixel(int pixel, std::int64_t offset, int pixels) {
    std::int64_t const moved = pixel + offset;
    return moved < 0 ? 0 : moved < pixels ? static_cast<int>(moved) : pixels - 1;
}

template <typename T, int kThreads>
__global__ void matchPatchesKernel(PatchMatchParams params, int const* before, int* after, int step) {
    int const lane = threadIdx.x % 32;
    int const patch = (blockIdx.x * kThreads + threadIdx.x) / 32;
    std::size_t const image = blockIdx.y;
    int const rows = params.sizes.rows;
    int const columns = params.sizes.columns;
    int const patches = rows * columns;
    if (patch >= patches) {
        return;
    }
    int const* rowOffsets = before + image * 2 * patches;
    int const* columnOffsets = rowOffsets + patches;
    float const* share = params.share + image * patches;
    float* cost = params.cost + image * patches;
    int* found = after + image * 2 * patches;
    int const ownRow = rowOffsets[patch];
    int const ownColumn = columnOffsets[patch];
    if (!(share[patch] > 0.0F)) {
        if (lane == 0) {
            found[patch] = ownRow;
            found[patches + patch] = ownColumn;
            cost[patch] = 0.0F;
        }
        return;
    }

    int const height = kMatchPatch * rows;
    int const width = kMatchPatch * columns;
    int const pixels = height * width;
    float const* valid = params.valid + image * pixels;
    int const row = patch / columns;
    int const column = patch % columns;
    int const firstRow = kMatchPatch * row;
    int const firstColumn = kMatchPatch * column;
    // Offsets of the four patches beside, where these are hole patches.
    int besideRow[4];
    int besideColumn[4];
    bool isBeside[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
        int const besideRowAt = row + (k == 0 ? -1 : k == 1 ? 1 : 0);
        int const besideColumnAt = column + (k == 2 ? -1 : k == 3 ? 1 : 0);
        int const beside = besideRowAt * columns + besideColumnAt;
        isBeside[k] = besideRowAt >= 0 && besideRowAt < rows && besideColumnAt >= 0 && besideColumnAt < columns
            && share[beside] > 0.0F;
        besideRow[k] = isBeside[k] ? rowOffsets[beside] : 0;
        besideColumn[k] = isBeside[k] ? columnOffsets[beside] : 0;
    }
    int rowMoves[kMatchCandidates] = {ownRow};
    int columnMoves[kMatchCandidates] = {ownColumn};
    bool compared[kMatchCandidates] = {true};  // the same for all lanes
#pragma unroll
    for (int k = 1; k < kMatchCandidates; ++k) {
        bool const near = k < 5;
        int const around = k - (k < 9 ? 5 : 4);  // place in 3 x 3, where 4 is the middle
        int const up = near ? (k == 1 ? -1 : k == 2 ? 1 : 0) : around / 3 - 1;
        int const left = near ? (k == 3 ? -1 : k == 4 ? 1 : 0) : around % 3 - 1;
        std::int64_t rowMove = ownRow + static_cast<std::int64_t>(up) * step;
        std::int64_t columnMove = ownColumn + static_cast<std::int64_t>(left) * step;
        if (near) {
            std::int64_t const nearRow = row + static_cast<std::int64_t>(up) * step;
            std::int64_t const nearColumn = column + static_cast<std::int64_t>(left) * step;
            if (nearRow < 0 || nearRow >= rows || nearColumn < 0 || nearColumn >= columns) {
                continue;
            }
            int const neighbour = static_cast<int>(nearRow) * columns + static_cast<int>(nearColumn);
            if (!(share[neighbour] > 0.0F)) {
                continue;
            }
            rowMove = rowOffsets[neighbour];
            columnMove = columnOffsets[neighbour];
        }
        std::int64_t const y = firstRow + rowMove;
        std::int64_t const x = firstColumn + columnMove;
        if (y < 0 || y > height - kMatchPatch || x < 0 || x > width - kMatchPatch || !(valid[y * width + x] > 0.0F)) {
            continue;
        }
        rowMoves[k] = static_cast<int>(rowMove);
        columnMoves[k] = static_cast<int>(columnMove);
        // One equal to the own never wins over it; where neighbours agree, most of the four are.
        compared[k] = rowMove != ownRow || columnMove != ownColumn;
    }

    // 16 pixels are compared: two lanes share one and take every second channel.
    int const y = firstRow + lane % 16 / 4 * 2 - 2;
    int const x = firstColumn + lane % 4 * 2 - 2;
    int const target = nearestPixel(y, 0, height) * width + nearestPixel(x, 0, width);
    int sources[kMatchCandidates];
#pragma unroll
    for (int k = 0; k < kMatchCandidates; ++k) {
        sources[k] = nearestPixel(y, rowMoves[k], height) * width + nearestPixel(x, columnMoves[k], width);
    }
    T const* features = static_cast<T const*>(params.features) + image * params.sizes.channels * pixels;
    float sums[kMatchCandidates] = {};
    for (int c = lane / 16; c < params.sizes.channels; c += 2) {
        T const* plane = features + static_cast<std::size_t>(c) * pixels;
        float const mine = static_cast<float>(plane[target]);
#pragma unroll
        for (int k = 0; k < kMatchCandidates; ++k) {
            if (compared[k]) {
                float const difference = mine - static_cast<float>(plane[sources[k]]);
                sums[k] += difference * difference;
            }
        }
    }
    int bestRow = ownRow;
    int bestColumn = ownColumn;
    float bestCost = 0.0F;
    float least = 0.0F;
#pragma unroll
    for (int k = 0; k < kMatchCandidates; ++k) {
        if (!compared[k]) {
            continue;
        }
#pragma unroll
        for (int mask = 16; mask > 0; mask /= 2) {
            sums[k] += fromNeighbour(sums[k], mask);
        }
        int agreeing = 0;
#pragma unroll
        for (int other = 0; other < 4; ++other) {
            agreeing += isBeside[other] && besideRow[other] == rowMoves[k] && besideColumn[other] == columnMoves[k];
        }
        float const score = sums[k] / (1.0F + kCoherence * static_cast<float>(agreeing));
        if (k == 0 || score < least) {
            least = score;
            bestCost = sums[k];
            bestRow = rowMoves[k];
            bestColumn = columnMoves[k];
        }
    }
    if (lane == 0) {
        found[patch] = bestRow;
        found[patches + patch] = bestColumn;
        cost[patch] = bestCost;
    }
}

}  // namespace iic
