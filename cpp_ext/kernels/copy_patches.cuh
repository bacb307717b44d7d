// The replacement: one thread for each piece of kPiece pixels of a row, and kChannelsPerThread channels of it.
#pragma once

#include "patch_replace.h"
#include "portable.cuh"

namespace iic {

constexpr int kChannelsPerThread = 4;     // which share the search for the pixels that are copied
constexpr float kSmallestWeight = 1e-6F;  // of a pixel; below it no patch reaches it

template <typename T, int kCount>
struct alignas(kCount * sizeof(T)) Piece {
    T values[kCount];
};

// The one or two patches of an axis over a pixel of it.
struct PatchesOver {
    int count;
    int own;
    int neighbour;
    float weight;  // of its own patch; what is left is the neighbour's
};

__device__ inline PatchesOver patchesOver(int pixel, int p, int patches) {
    int const margin = p / 2;
    int const own = pixel / p;
    int const at = pixel % p;
    bool const low = at < margin && own > 0;
    bool const high = at >= p - margin && own < patches - 1;
    if (!low && !high) {
        return PatchesOver{1, own, own, 1.0F};
    }
    int const depth = low ? at : p - 1 - at;
    float const weight = static_cast<float>(2 * (depth + margin) + 1) / static_cast<float>(4 * margin);
    return PatchesOver{2, own, low ? own - 1 : own + 1, weight};
}

// The pixel of an axis that is copied to `pixel`, the nearest one of the map where the offset leads out of it. 64 bits,
// since an offset may be any number; the shift rounds down.
__device__ inline int copiedPixel(int pixel, int offset, int p, int pixels) {
    std::int64_t const moved = pixel + ((static_cast<std::int64_t>(offset) * p + 2) >> 2);
    return moved < 0 ? 0 : moved < pixels ? static_cast<int>(moved) : pixels - 1;
}

// Five blocks on a multiprocessor: with fewer, too few bytes are under way; more would take registers from memory.
template <typename T, int kPiece, int kThreads>
__global__ void __launch_bounds__(kThreads, 5) copyPatchesKernel(PatchReplaceParams params) {
    using Block = Piece<T, kPiece>;
    PatchReplaceSizes const& sizes = params.sizes;
    int const pieces = sizes.width / kPiece;
    int const index = blockIdx.x * kThreads + threadIdx.x;
    int const row = index / pieces;
    if (row >= sizes.height) {
        return;
    }
    int const column = index % pieces * kPiece;
    int const pixel = row * sizes.width + column;
    int const p = sizes.height / sizes.rows;
    std::size_t const pixels = static_cast<std::size_t>(sizes.height) * sizes.width;
    int const patches = sizes.rows * sizes.columns;
    std::size_t const image = blockIdx.z;
    int const firstChannel = blockIdx.y * kChannelsPerThread;
    int const channels = smaller(kChannelsPerThread, sizes.channels - firstChannel);
    std::size_t const planes = (image * sizes.channels + firstChannel) * pixels;
    T const* detail = static_cast<T const*>(params.detail) + planes;
    T const* inside = static_cast<T const*>(params.inside) + image * pixels;

    Block const flags = *reinterpret_cast<Block const*>(inside + pixel);
    bool passes = false;
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
        passes = passes || !(static_cast<float>(flags.values[e]) > 0.0F);
    }
    Block values[kChannelsPerThread] = {};
    Block missing = {};
    if (passes) {
#pragma unroll
        for (int c = 0; c < kChannelsPerThread; ++c) {
            if (c < channels) {
                values[c] = *reinterpret_cast<Block const*>(detail + c * pixels + pixel);
            }
        }
    }
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
        if (!(static_cast<float>(flags.values[e]) > 0.0F)) {
            continue;
        }
        float sums[kChannelsPerThread] = {};
        float reached = 0.0F;
        PatchesOver const tall = patchesOver(row, p, sizes.rows);
        PatchesOver const wide = patchesOver(column + e, p, sizes.columns);
#pragma unroll 1
        for (int window = 0; window < tall.count * wide.count; ++window) {
            bool const above = window >= wide.count;  // or below
            bool const beside = window == (above ? wide.count : 0) + 1;
            int const patch = (above ? tall.neighbour : tall.own) * sizes.columns + (beside ? wide.neighbour : wide.own);
            float const part = (above ? 1.0F - tall.weight : tall.weight) * (beside ? 1.0F - wide.weight : wide.weight);
#pragma unroll 1
            for (int k = 0; k < sizes.best; ++k) {
                std::size_t const plane = image * sizes.best + k;
                float const weight = part * params.share[plane * patches + patch];
                std::int32_t const* offset = params.offset + 2 * plane * patches + patch;
                int const y = copiedPixel(row, offset[0], p, sizes.height);
                int const x = copiedPixel(column + e, offset[patches], p, sizes.width);
                int const copied = y * sizes.width + x;
                if (weight == 0.0F || static_cast<float>(inside[copied]) > 0.0F) {
                    continue;
                }
                reached += weight;
#pragma unroll
                for (int c = 0; c < kChannelsPerThread; ++c) {
                    if (c < channels) {
                        sums[c] += weight * static_cast<float>(detail[c * pixels + copied]);
                    }
                }
            }
        }
        if (reached > kSmallestWeight) {
#pragma unroll
            for (int c = 0; c < kChannelsPerThread; ++c) {
                values[c].values[e] = static_cast<T>(sums[c] / reached);
            }
        } else {
            missing.values[e] = static_cast<T>(1.0F);
#pragma unroll
            for (int c = 0; c < kChannelsPerThread; ++c) {
                if (c < channels) {
                    values[c].values[e] = detail[c * pixels + pixel + e];
                }
            }
        }
    }
    T* mixed = static_cast<T*>(params.mixed) + planes;
#pragma unroll
    for (int c = 0; c < kChannelsPerThread; ++c) {
        if (c < channels) {
            *reinterpret_cast<Block*>(mixed + c * pixels + pixel) = values[c];
        }
    }
    if (blockIdx.y == 0) {
        *reinterpret_cast<Block*>(static_cast<T*>(params.missing) + image * pixels + pixel) = missing;
    }
}

}  // namespace iic
