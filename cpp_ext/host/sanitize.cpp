// Runs the kernels over small shapes, for a sanitizer to watch: under the host shim those of the compiler, on a GPU
// compute-sanitizer. Every array has exactly its size, so that a step over its end leaves the allocation. The results
// are compared with the specification elsewhere; here what is copied must be finite, and what passes must be equal.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "patch_match.h"
#include "patch_replace.h"
#include "patch_search.h"
#include "portable.cuh"

namespace {

struct SearchCase {
    iic::PatchSearchSizes sizes;
    float holes, valid;
};

class Random {
  public:
    float next() {  // in [0, 1)
        mState = mState * 1664525U + 1013904223U;
        return static_cast<float>(mState >> 8) / 16777216.0F;
    }

    template <typename T>
    std::vector<T> values(std::size_t count) {
        std::vector<T> made(count);
        for (T& value : made) {
            value = static_cast<T>(next() - 0.5F);
        }
        return made;
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

    template <typename T = void>
    T* get() const {
        return static_cast<T*>(mMemory);
    }

    template <typename T>
    std::vector<T> read(std::size_t count) const {
        std::vector<T> values(count);
        ran(cudaMemcpy(values.data(), mMemory, count * sizeof(T), cudaMemcpyDefault));
        return values;
    }

  private:
    void* mMemory = nullptr;
};

// Searches, then replaces with what was found: pixels of `p` x `p` and three channels.
template <typename T>
bool run(SearchCase const& given, int p) {
    iic::PatchSearchSizes const& s = given.sizes;
    Random random;
    std::size_t const patches = static_cast<std::size_t>(s.batch) * s.rows * s.columns;
    std::vector<float> hole(patches);
    std::vector<float> weight(patches);
    for (std::size_t i = 0; i < patches; ++i) {
        hole[i] = random.next() < given.holes ? 1.0F : 0.0F;
        weight[i] = random.next() < given.valid ? 0.1F + random.next() : 0.0F;
    }
    DeviceBuffer const q(random.values<T>(patches * s.descriptor)), holes(hole), weights(weight),
        offset(2 * patches * s.best * sizeof(int)), share(patches * s.best * sizeof(float));
    std::size_t const bytes = iic::patchSearchWorkspaceSize(s);
    DeviceBuffer const workspace(bytes);
    iic::PatchSearchParams const search{
        q.get(), holes.get<float>(), weights.get<float>(), offset.get<int>(), share.get<float>(), s, 10.0F};
    if (!ran(iic::patchSearch(search, workspace.get(), bytes, nullptr))) {
        return false;
    }

    int const channels = 3;
    int const height = s.rows * p;
    int const width = s.columns * p;
    std::size_t const pixels = static_cast<std::size_t>(height) * width;
    std::vector<T> const detail = random.values<T>(s.batch * channels * pixels);
    std::vector<T> inside(s.batch * pixels);
    for (T& value : inside) {
        value = static_cast<T>(random.next() < given.holes ? 1.0F : 0.0F);
    }
    DeviceBuffer const map(detail), insides(inside), mixed(detail.size() * sizeof(T)),
        missing(inside.size() * sizeof(T));
    iic::PatchReplaceParams const replace{map.get(), insides.get(), offset.get<int>(), share.get<float>(), mixed.get(),
        missing.get(), {s.batch, channels, height, width, s.rows, s.columns, s.best, s.type}};
    if (!ran(iic::patchReplace(replace, nullptr))) {
        return false;
    }
    std::vector<T> const result = mixed.read<T>(detail.size());
    std::vector<T> const lost = missing.read<T>(inside.size());
    for (std::size_t i = 0; i < result.size(); ++i) {
        std::size_t const pixel = i / (channels * pixels) * pixels + i % pixels;
        bool const passes = static_cast<float>(inside[pixel]) == 0.0F || static_cast<float>(lost[pixel]) == 1.0F;
        bool const good = passes ? std::memcmp(&result[i], &detail[i], sizeof(T)) == 0
                                 : std::isfinite(static_cast<float>(result[i]));
        if (!good) {
            return false;
        }
    }
    return true;
}

// Two sweeps over random offsets, some of which lead far out of the image.
template <typename T>
bool runMatch(iic::PatchMatchSizes const& s, float holes, float valid) {
    Random random;
    std::size_t const patches = static_cast<std::size_t>(s.rows) * s.columns;
    std::size_t const pixels = 16 * patches;
    std::vector<float> places(s.batch * pixels);
    for (float& place : places) {
        place = random.next() < valid ? 1.0F : 0.0F;
    }
    std::vector<float> hole(s.batch * patches);
    for (float& share : hole) {
        share = random.next() < holes ? 1.0F : 0.0F;
    }
    std::vector<int> given(2 * s.batch * patches);
    for (int& offset : given) {
        offset = static_cast<int>((random.next() - 0.5F) * (random.next() < 0.1F ? 4e9F : 40.0F));
    }
    DeviceBuffer const features(random.values<T>(s.batch * s.channels * pixels)), valids(places), offset(given),
        share(hole), matched(given.size() * sizeof(int)), cost(hole.size() * sizeof(float));
    std::size_t const bytes = iic::patchMatchWorkspaceSize(s);
    DeviceBuffer const workspace(bytes);
    iic::PatchMatchParams const match{features.get(), valids.get<float>(), offset.get<int>(), share.get<float>(),
        matched.get<int>(), cost.get<float>(), s, 2, {2, 1}};
    if (!ran(iic::patchMatch(match, workspace.get(), bytes, nullptr))) {
        return false;
    }
    std::vector<int> const found = matched.read<int>(given.size());
    std::vector<float> const costs = cost.read<float>(hole.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
        std::size_t const patch = i / (2 * patches) * patches + i % patches;
        bool const good = hole[patch] > 0.0F ? std::isfinite(costs[patch]) && costs[patch] >= 0.0F
                                             : found[i] == given[i] && costs[patch] == 0.0F;
        if (!good) {
            return false;
        }
    }
    return true;
}

}  // namespace

int main() {
    constexpr auto kFloat = iic::DataType::kFloat32;
    constexpr auto kHalf = iic::DataType::kFloat16;
    // batch, rows, columns, descriptor, best; shares of holes and of valid patches.
    SearchCase const floats[] = {{{2, 5, 7, 5, 1, kFloat}, 0.4F, 0.7F}, {{1, 10, 15, 3, 1, kFloat}, 0.1F, 1.0F},
        {{1, 3, 3, 1, 3, kFloat}, 1.0F, 1.0F}, {{2, 2, 5, 2, 1, kFloat}, 0.5F, 0.0F},
        {{1, 2, 5, 2, 1, kFloat}, 0.0F, 0.5F}};
    // The first three take the tensor-core kernel, in one and in several parts; the last one the scalar kernel.
    SearchCase const halves[] = {{{1, 5, 8, 7, 1, kHalf}, 0.4F, 0.7F}, {{1, 20, 17, 4, 1, kHalf}, 0.02F, 1.0F},
        {{1, 6, 7, 84, 4, kHalf}, 0.4F, 0.7F}, {{1, 3, 4, 129, 1, kHalf}, 0.5F, 0.7F}};
    int p = 2;  // and more: windows with and without a part that is no margin
    for (SearchCase const& given : floats) {
        if (!run<float>(given, p++)) {
            std::puts("wrong result in float32");
            return 1;
        }
    }
    p = 2;
    for (SearchCase const& given : halves) {
        if (!run<iic::Half>(given, p++)) {
            std::puts("wrong result in float16");
            return 1;
        }
    }
    if (!runMatch<float>({2, 2, 3, 3, kFloat}, 0.6F, 0.7F) || !runMatch<iic::Half>({1, 3, 2, 4, kHalf}, 1.0F, 0.7F)) {
        std::puts("wrong result of the match");
        return 1;
    }
    std::puts("all cases ran");
    return 0;
}
