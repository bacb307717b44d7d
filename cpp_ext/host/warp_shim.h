// The warp instructions of kernels/warp.cuh on the host, written from the register layouts in the PTX manual. They show
// that the kernels move every value to its place; they say nothing about the rounding of the hardware.
#pragma once

#include "cuda_shim.h"

namespace iic {
namespace shim {

struct PendingCopy {
    Half* to;
    Half const* from;
    bool exists;
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

}  // namespace shim

inline void loadTiles(unsigned (&tiles)[4], Half const* row) {
    auto const address = reinterpret_cast<std::uintptr_t>(row);
    unsigned const mine[2] = {static_cast<unsigned>(address), static_cast<unsigned>(address >> 32)};
    unsigned const lane = threadIdx.x % 32;
    shim::exchange(mine, [&](unsigned const (*slots)[8]) {
        for (unsigned tile = 0; tile < 4; ++tile) {
            unsigned const* slot = slots[tile * 8 + lane / 4];
            auto const* from = reinterpret_cast<Half const*>(slot[0] | static_cast<std::uintptr_t>(slot[1]) << 32);
            tiles[tile] = shim::wordOf(from[lane % 4 * 2], from[lane % 4 * 2 + 1]);
        }
    });
}

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
inline void copyAsync(Half* shared, Half const* global, bool exists) {
    shim::pendingCopies.push_back({shared, global, exists});
}

inline void waitForCopies() {
    for (shim::PendingCopy const& copy : shim::pendingCopies) {
        if (copy.exists) {
            std::memcpy(copy.to, copy.from, 8);
        } else {
            std::memset(copy.to, 0, 8);
        }
    }
    shim::pendingCopies.clear();
}

template <typename T>
T fromNeighbour(T value, int mask) {
    static_assert(sizeof(T) == sizeof(unsigned));
    unsigned mine[1];
    std::memcpy(mine, &value, sizeof(value));
    T result{};
    unsigned const other = threadIdx.x % 32 ^ static_cast<unsigned>(mask);
    shim::exchange(mine, [&](unsigned const (*slots)[8]) { std::memcpy(&result, slots[other], sizeof(result)); });
    return result;
}

}  // namespace iic
