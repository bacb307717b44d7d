// The instructions of a warp that the tensor-core kernel is made of, sm_75 and up. Register layouts are those of the
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

// Likewise, each tile transposed.
__device__ inline void loadTilesTransposed(unsigned (&tiles)[4], Half const* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
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

// Copies kBytes (8 or 16) to shared memory, or zeros where `inside` is false; there after waitForCopies().
template <int kBytes>
__device__ inline void copyAsync(Half* shared, Half const* global, bool inside) {
#if __CUDA_ARCH__ >= 800
    int const bytes = inside ? kBytes : 0;
    if constexpr (kBytes == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(shared)), "l"(global),
                     "r"(bytes)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(sharedAddress(shared)), "l"(global),
                     "r"(bytes)
                     : "memory");
    }
#else
    if constexpr (kBytes == 16) {
        *reinterpret_cast<uint4*>(shared) = inside ? *reinterpret_cast<uint4 const*>(global) : uint4{0, 0, 0, 0};
    } else {
        *reinterpret_cast<uint2*>(shared) = inside ? *reinterpret_cast<uint2 const*>(global) : uint2{0, 0};
    }
#endif
}

// All copies of this thread so far have landed. Other threads see them after a barrier.
__device__ inline void waitForCopies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// Without the scaling by which exp2f reaches results below 2^-126: those are 0 here.
__device__ inline float powerOfTwo(float exponent) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(exponent));
    return result;
}

// Two values as half, the first in the low bits.
__device__ inline unsigned packHalves(float first, float second) {
    __half2 const both = __floats2half2_rn(first, second);
    return *reinterpret_cast<unsigned const*>(&both);
}

__device__ inline float2 unpackHalves(unsigned both) { return __half22float2(*reinterpret_cast<__half2 const*>(&both)); }

__device__ inline float fromNeighbour(float value, int mask) { return __shfl_xor_sync(0xffffffffU, value, mask); }

__device__ inline bool anyLane(bool condition) { return __any_sync(0xffffffffU, condition) != 0; }

}  // namespace iic

#endif
