// The best patches of a row so far, the greatest logit first; of equal ones the patch of the lower number.
#pragma once

#include <cmath>
#include <limits>

#include "portable.cuh"

namespace iic {

constexpr int kNoPatch = std::numeric_limits<int>::max();

template <int kBest>
struct BestList {
    float logit[kBest];
    int number[kBest];

    __device__ void clear() {
#pragma unroll
        for (int k = 0; k < kBest; ++k) {
            logit[k] = -INFINITY;
            number[k] = kNoPatch;
        }
    }

    __device__ void offer(float value, int patch) {
        insert(value, patch, [&](int k) { return value > logit[k] || (value == logit[k] && patch < number[k]); });
    }

    // For a patch of a higher number than all before it.
    __device__ void offerNext(float value, int patch) {
        insert(value, patch, [&](int k) { return value > logit[k]; });
    }

  private:
    // `ahead(k)`: whether the new one comes before place k. From the back, so that equal ones keep their order; with
    // places known to the compiler, so that the list stays in registers.
    template <typename Ahead>
    __device__ void insert(float value, int patch, Ahead const& ahead) {
        if (!ahead(kBest - 1)) {
            return;
        }
#pragma unroll
        for (int k = kBest - 1; k > 0; --k) {
            if (ahead(k)) {
                bool const further = ahead(k - 1);
                logit[k] = further ? logit[k - 1] : value;
                number[k] = further ? number[k - 1] : patch;
            }
        }
        if (ahead(0)) {
            logit[0] = value;
            number[0] = patch;
        }
    }
};

}  // namespace iic
