// The warp instructions of kernels/warp.cuh on the host, written from the register layouts in the PTX manual. They show
// that the tensor-core kernel moves every value to its place; they say nothing about the rounding of the hardware.
#pragma once

#include "cuda_shim.h"

namespace iic {
namespace shim {

struct PendingCopy {
    Half* to;
    Half const* from;
    std::size_t bytes;
    bool inside;
};

inline thread_local std::vector<PendingCopy> pendingCopies;

inline Half halfOf(unsigned word, int which) {
    Half both[2];
    std::memcpy(both, &word, sizeof(both));
    return both[which];
}

inline unsigned wordOf(Half low, Half high) {
    Half const both[2] = {low, high};
    unsigned word = 0;
    std::memcpy(&word, both, sizeof(both));
    return word;
}

// Every lane shows its words to the others while `read` runs.
template <int kCount, typename Read>
void exchange(unsigned const (&mine)[kCount], Read const& read) {
    WarpState& warp = block->warps[threadIdx.x / 32];
    std::memcpy(warp.slots[threadIdx.x % 32], mine, sizeof(mine));
    warp.barrier.wait();
    read(warp.slots);
    warp.barrier.wait();
}

template <bool kTransposed>
void loadTiles(unsigned (&tiles)[4], Half const* row) {
    auto const address = reinterpret_cast<std::uintptr_t>(row);
    unsigned const mine[2] = {static_cast<unsigned>(address), static_cast<unsigned>(address >> 32)};
    unsigned const lane = threadIdx.x % 32;
    exchange(mine, [&](unsigned const (*slots)[8]) {
        auto const at = [&](unsigned tile, unsigned r, unsigned c) {
            unsigned const* slot = slots[tile * 8 + r];
            return reinterpret_cast<Half const*>(slot[0] | static_cast<std::uintptr_t>(slot[1]) << 32)[c];
        };
        for (unsigned tile = 0; tile < 4; ++tile) {
            unsigned const r = lane / 4;
            unsigned const c = lane % 4 * 2;
            tiles[tile] = kTransposed ? wordOf(at(tile, c, r), at(tile, c + 1, r))
                                      : wordOf(at(tile, r, c), at(tile, r, c + 1));
        }
    });
}

}  // namespace shim

inline void loadTiles(unsigned (&tiles)[4], Half const* row) { shim::loadTiles<false>(tiles, row); }

inline void loadTilesTransposed(unsigned (&tiles)[4], Half const* row) { shim::loadTiles<true>(tiles, row); }

inline void multiplyAdd(float (&acc)[4], unsigned const (&a)[4], unsigned b0, unsigned b1) {
    unsigned const mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
    unsigned const lane = threadIdx.x % 32;
    shim::exchange(mine, [&](unsigned const (*slots)[8]) {
        for (unsigned e = 0; e < 4; ++e) {
            unsigned const row = lane / 4 + e / 2 * 8;
            unsigned const col = lane % 4 * 2 + e % 2;
            for (unsigned k = 0; k < 16; ++k) {
                unsigned const left = slots[row % 8 * 4 + k % 8 / 2][row / 8 + k / 8 * 2];
                unsigned const right = slots[col * 4 + k % 8 / 2][4 + k / 8];
                acc[e] += static_cast<float>(shim::halfOf(left, k % 2)) * static_cast<float>(shim::halfOf(right, k % 2));
            }
        }
    });
}

// As late as allowed, so that a missing waitForCopies() shows.
template <int kBytes>
void copyAsync(Half* shared, Half const* global, bool inside) {
    shim::pendingCopies.push_back({shared, global, kBytes, inside});
}

inline void waitForCopies() {
    for (shim::PendingCopy const& copy : shim::pendingCopies) {
        if (copy.inside) {
            std::memcpy(copy.to, copy.from, copy.bytes);
        } else {
            std::memset(copy.to, 0, copy.bytes);
        }
    }
    shim::pendingCopies.clear();
}

inline float powerOfTwo(float exponent) { return std::exp2(exponent); }

inline unsigned packHalves(float first, float second) {
    return shim::wordOf(static_cast<Half>(first), static_cast<Half>(second));
}

inline float2 unpackHalves(unsigned both) {
    return {static_cast<float>(shim::halfOf(both, 0)), static_cast<float>(shim::halfOf(both, 1))};
}

inline float fromNeighbour(float value, int mask) {
    unsigned mine[1];
    std::memcpy(mine, &value, sizeof(value));
    float result = 0.0F;
    unsigned const other = threadIdx.x % 32 ^ static_cast<unsigned>(mask);
    shim::exchange(mine, [&](unsigned const (*slots)[8]) { std::memcpy(&result, slots[other], sizeof(result)); });
    return result;
}

inline bool anyLane(bool condition) {
    unsigned const mine[1] = {condition};
    bool result = false;
    shim::exchange(mine, [&](unsigned const (*slots)[8]) {
        for (int lane = 0; lane < 32; ++lane) {
            result = result || slots[lane][0] != 0;
        }
    });
    return result;
}

}  // namespace iic
