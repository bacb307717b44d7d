// Merges what the blocks found for each hole patch, and writes the outputs of the search: one thread for each patch.
#pragma once

#include <cmath>

#include "best_list.cuh"
#include "search_workspace.cuh"

namespace iic {

template <int kBest, int kThreads>
__global__ void mergeKernel(PatchSearchParams params, SearchWorkspace ws) {
    int const columns = params.sizes.columns;
    int const patches = params.sizes.rows * columns;
    int const patch = blockIdx.x * kThreads + threadIdx.x;
    std::size_t const image = blockIdx.y;
    if (patch >= patches) {
        return;
    }
    BestList<kBest> best;
    best.clear();
    int const rank = ws.rank[image * patches + patch];
    if (rank >= 0) {
        int const splits = ws.plan[image].splits;
        int const tile = rank / ws.geometry.rows;
        std::size_t const stride = static_cast<std::size_t>(ws.geometry.rows) * kBest;
        Candidate const* found = ws.found + (image * ws.units + static_cast<std::size_t>(tile) * splits) * stride
            + rank % ws.geometry.rows * kBest;
        for (int split = 0; split < splits; ++split) {
#pragma unroll
            for (int k = 0; k < kBest; ++k) {
                Candidate const candidate = found[split * stride + k];
                best.offer(candidate.logit, candidate.patch);
            }
        }
    }
    float raised[kBest];
    float sum = 0.0F;
#pragma unroll
    for (int k = 0; k < kBest; ++k) {
        bool const exists = k < params.sizes.best && best.number[k] != kNoPatch;
        raised[k] = exists ? expf(best.logit[k] - best.logit[0]) : 0.0F;
        sum += raised[k];
    }
#pragma unroll
    for (int k = 0; k < kBest; ++k) {
        if (k < params.sizes.best) {
            std::size_t const plane = image * params.sizes.best + k;
            bool const exists = best.number[k] != kNoPatch;
            int const source = exists ? best.number[k] : patch;
            std::int32_t* offset = params.offset + 2 * plane * patches + patch;
            offset[0] = kQuarters * (source / columns - patch / columns);
            offset[patches] = kQuarters * (source % columns - patch % columns);
            params.share[plane * patches + patch] = exists ? raised[k] / sum : 0.0F;
        }
    }
}

}  // namespace iic
