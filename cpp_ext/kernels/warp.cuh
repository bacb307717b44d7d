// The instructions of a warp that the kernels use, sm_75 and up. Register layouts are those of the
// PTX manual: lane l holds row l / 4 and columns 2 (l % 4), 2 (l % 4) + 1 of an 8 x 8 tile.
#pragma once

#include "portable.cuh"

#ifdef IIC_HOST_SHIM

#include "warp_shim.h"

#else

namespace iic {

__device__ inline unsigned sharedAddress(void const* shared) {
    return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

// Four 8 x 8 tiles; lanes 8 i to 8 i + 7 give the addresses of the rows of tile i.
__device__ inline void loadTiles(unsigned (&tiles)[4], Half const* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                 : "r"(sharedAddress(row))
                 : "memory");
}

// acc [16, 8] += a [16, 16] b [16, 8], float32 sums. a: tiles (top, left), (bottom, left), (top, right),
// (bottom, right); b: tiles (top), (bottom), transposed.
__device__ inline void multiplyAdd(float (&acc)[4], unsigned const (&a)[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    // sm_75 has half the depth: one product for each half.
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
        : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(acc[0]), "+f"(acc[1]), "+f"(acc[2]), "+f"(acc[3])
        : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

// Copies 8 bytes to shared memory, or zeros where `exists` is false; there after waitForCopies().
__device__ inline void copyAsync(Half* shared, Half const* global, bool exists) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(sharedAddress(shared)), "l"(global),
                 "r"(exists ? 8 : 0)
                 : "memory");
#else
    *reinterpret_cast<uint2*>(shared) = exists ? *reinterpret_cast<uint2 const*>(global) : uint2{0, 0};
#endif
}

// All copies of this thread so far have landed. Other threads see them after a barrier.
__device__ inline void waitForCopies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// What the lane has whose number differs in the bits of `mask`.
template <typename T>
__device__ T fromNeighbour(T value, int mask) {
    return __shfl_xor_sync(0xffffffffU, value, mask);
}

}  // namespace iic

#endif
