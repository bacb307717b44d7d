// The few things that differ between nvcc and the host shim, so that the kernels themselves are one source.
#pragma once

#ifdef IIC_HOST_SHIM

#include "cuda_shim.h"

#else

#include <cuda_fp16.h>
#include <cuda_runtime.h>

// Aligned for 16-byte copies.
#define IIC_SHARED(type, name, count) __shared__ __align__(16) type name[count]

// Places where the host tests plant a fault on purpose, to see that the sanitizers report it.
#define IIC_SYNC() __syncthreads()
#define IIC_TILE_BOUND(count) (count)

namespace iic {

using Half = __half;

template <typename T>
struct Exactly {
    using type = T;
};

// Returns the status of this launch; cudaGetLastError would also report (and clear) an earlier error of the caller.
template <typename... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, int threads, cudaStream_t stream, typename Exactly<P>::type... args) {
    void* pointers[] = {&args...};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, dim3(threads), pointers, 0, stream);
}

}  // namespace iic

#endif

namespace iic {

__host__ __device__ constexpr int ceilDiv(int a, int b) { return a / b + (a % b != 0); }
__host__ __device__ constexpr int roundUp(int a, int b) { return ceilDiv(a, b) * b; }
__host__ __device__ constexpr int smaller(int a, int b) { return a < b ? a : b; }
__host__ __device__ constexpr int larger(int a, int b) { return a > b ? a : b; }

}  // namespace iic
