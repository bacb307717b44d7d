// Enough of CUDA to compile the kernels with g++ (C++20) and run them on a machine without a GPU, for tests only.
//
// A std::thread stands for a CUDA thread and a barrier for __syncthreads, so that the sanitizers see the races and
// overflows that a GPU would have. Blocks run one after another. Shared arrays are fresh heap memory for every block,
// filled with NaN: reading one that was never written does not go unnoticed.
#pragma once

#ifndef IIC_HOST_SHIM
#error "compile with -DIIC_HOST_SHIM, so that every file takes the shim"
#endif

#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1 };
enum cudaMemcpyKind { cudaMemcpyDefault };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct float2 {
    float x, y;
};

inline cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    *memory = std::malloc(bytes);
    return cudaSuccess;
}

inline cudaError_t cudaFree(void* memory) {
    std::free(memory);
    return cudaSuccess;
}

inline cudaError_t cudaMemcpy(void* to, void const* from, std::size_t bytes, cudaMemcpyKind) {
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}

inline cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}

// Four: some shapes then split the valid patches over blocks and others do not.
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
    *value = 4;
    return cudaSuccess;
}

inline thread_local dim3 threadIdx;
inline thread_local dim3 blockIdx;
inline thread_local dim3 gridDim;

namespace iic {

using Half = _Float16;

namespace shim {

// std::barrier spins before it sleeps, which takes the time that the threads waited for need.
class Barrier {
  public:
    explicit Barrier(int threads) : mThreads(threads) {}

    void wait() {
        std::unique_lock<std::mutex> lock(mMutex);
        unsigned const round = mRound;
        if (++mArrived == mThreads) {
            mArrived = 0;
            ++mRound;
            mChanged.notify_all();
        } else {
            mChanged.wait(lock, [&] { return round != mRound; });
        }
    }

  private:
    std::mutex mMutex;
    std::condition_variable mChanged;
    int const mThreads;
    int mArrived = 0;
    unsigned mRound = 0;
};

struct WarpState {
    Barrier barrier{32};
    unsigned slots[32][8];
};

struct BlockState {
    explicit BlockState(int threads) : barrier(threads), warps(threads / 32) {}

    Barrier barrier;
    std::vector<WarpState> warps;
    std::mutex mutex;
    std::vector<std::unique_ptr<unsigned char[]>> shared;
};

inline thread_local BlockState* block = nullptr;
inline thread_local std::size_t sharedUsed = 0;

// The threads of a block ask for their shared arrays in the same order: the first one to ask allocates.
template <typename T>
T* shared(std::size_t count) {
    std::lock_guard<std::mutex> const lock(block->mutex);
    std::size_t const index = sharedUsed++;
    if (index == block->shared.size()) {
        block->shared.push_back(std::make_unique<unsigned char[]>(count * sizeof(T)));
        std::memset(block->shared.back().get(), 0xff, count * sizeof(T));
    }
    return reinterpret_cast<T*>(block->shared[index].get());
}

template <typename Kernel>
void runThread(Kernel const& kernel, BlockState& state, dim3 grid, unsigned thread) {
    block = &state;
    threadIdx = dim3(thread);
    gridDim = grid;
    for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx = dim3(x, y, z);
                sharedUsed = 0;
                kernel();
                state.barrier.wait();
                if (thread == 0) {
                    state.shared.clear();
                }
                state.barrier.wait();
            }
        }
    }
}

}  // namespace shim

template <typename T>
struct Exactly {
    using type = T;
};

template <typename... P>
cudaError_t launch(void (*kernel)(P...), dim3 grid, int threads, cudaStream_t, typename Exactly<P>::type... args) {
    shim::BlockState state(threads);
    auto const call = [&] { kernel(args...); };
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&, t] { shim::runThread(call, state, grid, t); });
    }
    for (std::thread& thread : running) {
        thread.join();
    }
    return cudaSuccess;
}

}  // namespace iic

inline void __syncthreads() { iic::shim::block->barrier.wait(); }

#define IIC_SHARED(type, name, count) type* const name = iic::shim::shared<type>(count)

#ifdef IIC_PLANT_MISSING_BARRIER
#define IIC_SYNC() static_cast<void>(0)
#else
#define IIC_SYNC() __syncthreads()
#endif

#ifdef IIC_PLANT_OFF_BY_ONE
#define IIC_TILE_BOUND(count) ((count) + 1)
#else
#define IIC_TILE_BOUND(count) (count)
#endif
