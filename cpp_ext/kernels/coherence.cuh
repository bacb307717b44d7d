// Half a sweep of the coherence: one warp for each hole patch of a colour. Neighbours have the other colour, so nothing
// that is read is written in the same launch, and `source` is changed in place.
#pragma once

#include <cmath>

#include "search_workspace.cuh"
#include "warp.cuh"

namespace iic {

template <typename T, int kThreads>
__global__ void coherenceKernel(PatchSearchParams params, SearchWorkspace ws, int colour) {
    constexpr int kCandidates = 5;  // the own source, then those that continue the one above, below, left, right
    int const lane = threadIdx.x % 32;
    int const rank = (blockIdx.x * kThreads + threadIdx.x) / 32;
    std::size_t const image = blockIdx.y;
    if (rank >= ws.plan[image].rows) {
        return;
    }
    int const rows = params.sizes.rows;
    int const columns = params.sizes.columns;
    std::size_t const before = image * rows * columns;
    int const patch = ws.rows[image * ws.rowsStride + rank];
    int const row = patch / columns;
    int const column = patch % columns;
    if ((row + column) % 2 != colour) {
        return;
    }
    float const* hole = params.hole + before;
    float const* weight = params.weight + before;
    int* source = params.source + before;  // best is 1

    int const own = source[patch];
    int candidates[kCandidates] = {own, own, own, own, own};
    bool allowed[kCandidates] = {true};
    bool differs = false;
#pragma unroll
    for (int k = 1; k < kCandidates; ++k) {
        int const up = k == 1 ? -1 : k == 2 ? 1 : 0;
        int const left = k == 3 ? -1 : k == 4 ? 1 : 0;
        int const nearRow = row + up;
        int const nearColumn = column + left;
        if (nearRow < 0 || nearRow >= rows || nearColumn < 0 || nearColumn >= columns) {
            continue;
        }
        int const near = nearRow * columns + nearColumn;
        if (!(hole[near] > 0.0F)) {
            continue;
        }
        int const fromRow = source[near] / columns - up;
        int const fromColumn = source[near] % columns - left;
        if (fromRow < 0 || fromRow >= rows || fromColumn < 0 || fromColumn >= columns) {
            continue;
        }
        int const from = fromRow * columns + fromColumn;
        if (weight[from] > 0.0F) {
            candidates[k] = from;
            allowed[k] = true;
            differs = differs || from != own;
        }
    }
    if (!differs) {
        return;  // as most patches do after the first sweeps
    }

    int const descriptor = params.sizes.descriptor;
    T const* q = static_cast<T const*>(params.q) + before * descriptor;
    float products[kCandidates] = {};
    for (int d = lane; d < descriptor; d += 32) {
        float const mine = static_cast<float>(q[static_cast<std::size_t>(patch) * descriptor + d]);
#pragma unroll
        for (int k = 0; k < kCandidates; ++k) {
            products[k] += mine * static_cast<float>(q[static_cast<std::size_t>(candidates[k]) * descriptor + d]);
        }
    }
    int chosen = own;
    float greatest = 0.0F;
#pragma unroll
    for (int k = 0; k < kCandidates; ++k) {
#pragma unroll
        for (int mask = 16; mask > 0; mask /= 2) {
            products[k] += fromNeighbour(products[k], mask);
        }
        int agreeing = 0;
#pragma unroll
        for (int other = 1; other < kCandidates; ++other) {
            agreeing += allowed[other] && candidates[other] == candidates[k];
        }
        float const logit = fmaf(products[k], params.scale, logf(weight[candidates[k]])) + params.coherence * agreeing;
        if (k == 0 || (allowed[k] && logit > greatest)) {
            greatest = logit;
            chosen = candidates[k];
        }
    }
    if (lane == 0) {
        source[patch] = chosen;
    }
}

}  // namespace iic
