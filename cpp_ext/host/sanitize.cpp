// Runs the kernels over small shapes, for a sanitizer to watch: under the host shim those of the compiler, on a GPU
// compute-sanitizer. Every array has exactly its size, so that a step over its end leaves the allocation. The result is
// compared with the specification elsewhere; here the rows that pass must be equal and the others finite.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "patch_replace.h"
#include "portable.cuh"

namespace {

struct Case {
    int batch, patches, descriptor, width;
    float holes, valid;
};

class Random {
  public:
    float next() {  // in [0, 1)
        mState = mState * 1664525U + 1013904223U;
        return static_cast<float>(mState >> 8) / 16777216.0F;
    }

  private:
    unsigned mState = 7;
};

bool ran(cudaError_t status) {
    if (status != cudaSuccess) {
        std::printf("CUDA error %d\n", static_cast<int>(status));
    }
    return status == cudaSuccess;
}

class DeviceBuffer {
  public:
    explicit DeviceBuffer(std::size_t bytes) { ran(cudaMalloc(&mMemory, bytes)); }
    template <typename T>
    explicit DeviceBuffer(std::vector<T> const& values) : DeviceBuffer(values.size() * sizeof(T)) {
        ran(cudaMemcpy(mMemory, values.data(), values.size() * sizeof(T), cudaMemcpyDefault));
    }
    ~DeviceBuffer() { ran(cudaFree(mMemory)); }
    DeviceBuffer(DeviceBuffer const&) = delete;
    DeviceBuffer& operator=(DeviceBuffer const&) = delete;

    void* get() const { return mMemory; }

    template <typename T>
    std::vector<T> read(std::size_t count) const {
        std::vector<T> values(count);
        ran(cudaMemcpy(values.data(), mMemory, count * sizeof(T), cudaMemcpyDefault));
        return values;
    }

  private:
    void* mMemory = nullptr;
};

template <typename T>
bool run(Case const& c, iic::DataType type) {
    Random random;
    std::size_t const patches = static_cast<std::size_t>(c.batch) * c.patches;
    auto const fill = [&](std::size_t count) {
        std::vector<T> values(count);
        for (T& value : values) {
            value = static_cast<T>(random.next() - 0.5F);
        }
        return values;
    };
    std::vector<T> const v = fill(patches * c.width);
    std::vector<float> hole(patches);
    std::vector<float> weight(patches);
    for (std::size_t i = 0; i < patches; ++i) {
        hole[i] = random.next() < c.holes ? 1.0F : 0.0F;
        weight[i] = random.next() < c.valid ? 0.1F + random.next() : 0.0F;
    }
    DeviceBuffer const q(fill(patches * c.descriptor)), k(fill(patches * c.descriptor)), values(v), holes(hole),
        weights(weight), out(v.size() * sizeof(T)), replaced(patches * sizeof(float));
    std::size_t const bytes = iic::patchReplaceWorkspaceSize(c.batch, c.patches, c.descriptor, c.width, type);
    DeviceBuffer const workspace(bytes);
    iic::PatchReplaceParams const params{q.get(), k.get(), values.get(), static_cast<float*>(holes.get()),
        static_cast<float*>(weights.get()), out.get(), static_cast<float*>(replaced.get()), c.batch, c.patches,
        c.descriptor, c.width, 10.0F, type};
    if (!ran(iic::patchReplace(params, workspace.get(), bytes, nullptr))) {
        return false;
    }
    std::vector<T> const result = out.read<T>(v.size());
    std::vector<float> const told = replaced.read<float>(patches);
    for (std::size_t i = 0; i < v.size(); ++i) {
        bool const good = told[i / c.width] == 0.0F ? std::memcmp(&result[i], &v[i], sizeof(T)) == 0
                                                    : std::isfinite(static_cast<float>(result[i]));
        if (!good) {
            return false;
        }
    }
    return true;
}

}  // namespace

int main() {
    Case const floats[] = {{2, 37, 5, 11, 0.4F, 0.7F}, {1, 150, 3, 4, 0.1F, 1.0F}, {1, 9, 1, 1, 1.0F, 1.0F},
        {2, 10, 2, 8, 0.5F, 0.0F}, {1, 10, 2, 8, 0.0F, 0.5F}};
    // The first two take the tensor-core kernel, in one and in several parts; the last one the scalar kernel.
    Case const halves[] = {{1, 40, 7, 13, 0.4F, 0.7F}, {1, 300, 4, 8, 0.02F, 1.0F}, {1, 12, 129, 8, 0.5F, 0.7F}};
    for (Case const& c : floats) {
        if (!run<float>(c, iic::DataType::kFloat32)) {
            std::puts("wrong result in float32");
            return 1;
        }
    }
    for (Case const& c : halves) {
        if (!run<iic::Half>(c, iic::DataType::kFloat16)) {
            std::puts("wrong result in float16");
            return 1;
        }
    }
    std::puts("all cases ran");
    return 0;
}
