// Hands through the rows that pass, and puts together the rows that several blocks worked on.
#pragma once

#include "workspace.cuh"

namespace iic {

template <typename T, int kCount>
struct alignas(kCount * sizeof(T)) Piece {
    T values[kCount];
};

// One thread for each piece of kPiece values of a row.
template <typename T, int kPiece, int kThreads>
__global__ void finishKernel(PatchReplaceParams params, Workspace ws) {
    int const pieces = params.width / kPiece;
    std::size_t const index = static_cast<std::size_t>(blockIdx.x) * kThreads + threadIdx.x;
    std::size_t const picture = blockIdx.y;
    int const patch = static_cast<int>(index / pieces);
    int const value = static_cast<int>(index % pieces) * kPiece;
    if (patch >= params.patches) {
        return;
    }
    std::size_t const flat = picture * params.patches + patch;
    std::size_t const at = flat * params.width + value;
    using Block = Piece<T, kPiece>;
    Block* out = reinterpret_cast<Block*>(static_cast<T*>(params.out) + at);
    int const rank = ws.rank[flat];
    if (rank < 0) {
        *out = *reinterpret_cast<Block const*>(static_cast<T const*>(params.v) + at);
        return;
    }
    int const splits = ws.plan[picture].splits;
    if (splits == 1) {
        return;
    }
    int const tile = rank / ws.geometry.rows;
    std::size_t const stride = ws.geometry.rows;
    std::size_t const first = (picture * ws.parts + tile * splits) * stride + rank % ws.geometry.rows;
    float maximum = ws.statistics[first].maximum;
    for (int s = 1; s < splits; ++s) {
        maximum = fmaxf(maximum, ws.statistics[first + s * stride].maximum);
    }
    float sum = 0.0F;
    float sums[kPiece] = {};
    for (int s = 0; s < splits; ++s) {
        RowStatistics const part = ws.statistics[first + s * stride];
        float const factor = exp2f(part.maximum - maximum);
        float const* partial = ws.partial + (first + s * stride) * ws.partialStride + value;
        sum += factor * part.sum;
        for (int e = 0; e < kPiece; ++e) {
            sums[e] += factor * partial[e];
        }
    }
    Block result;
    for (int e = 0; e < kPiece; ++e) {
        result.values[e] = static_cast<T>(sums[e] / sum);
    }
    *out = result;
}

}  // namespace iic
