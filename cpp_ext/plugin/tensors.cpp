#include "tensors.h"

#include <algorithm>
#include <limits>

#include "logger.h"

namespace iic {
namespace {

constexpr const char* kNames[kInputs] = {"q", "k", "v", "hole", "weight"};
constexpr const char* kShapes[kInputs] = {"[B, N, D]", "[B, N, D]", "[B, N, Dv]", "[B, N]", "[B, N]"};
constexpr int kRanks[kInputs] = {3, 3, 3, 2, 2};

// Which size stands at each axis. A size is named once, so that equal names mean equal sizes.
constexpr int kSizes = 4;
constexpr const char* kSizeNames[kSizes] = {"B", "N", "D", "Dv"};
constexpr int kAxes[kInputs][3] = {{0, 1, 2}, {0, 1, 2}, {0, 1, 3}, {0, 1, -1}, {0, 1, -1}};

constexpr std::int64_t kUnknown = -1;
constexpr std::int64_t kLargest = std::numeric_limits<int>::max();

const char* nameOf(nvinfer1::DataType type) noexcept {
    switch (type) {
        case nvinfer1::DataType::kFLOAT: return "float32";
        case nvinfer1::DataType::kHALF: return "float16";
        case nvinfer1::DataType::kBF16: return "bfloat16";
        case nvinfer1::DataType::kINT8: return "int8";
        case nvinfer1::DataType::kUINT8: return "uint8";
        case nvinfer1::DataType::kINT32: return "int32";
        case nvinfer1::DataType::kINT64: return "int64";
        case nvinfer1::DataType::kBOOL: return "bool";
        default: return "another type";
    }
}

}  // namespace

bool countsAllowed(int inputs, int outputs) noexcept {
    if (inputs != kInputs || outputs != kOutputs) {
        logError("%d inputs and %d outputs; allowed are 5 inputs (q, k, v, hole, weight) and 2 outputs (out, replaced)",
            inputs, outputs);
        return false;
    }
    return true;
}

bool typesAllowed(const nvinfer1::DataType* inputs) noexcept {
    const nvinfer1::DataType type = inputs[kQ];
    const bool isFloat = type == nvinfer1::DataType::kFLOAT || type == nvinfer1::DataType::kHALF;
    if (!isFloat || inputs[kK] != type || inputs[kV] != type) {
        logError("q is %s, k is %s, v is %s; allowed is one type for the three, float32 or float16: cast them",
            nameOf(type), nameOf(inputs[kK]), nameOf(inputs[kV]));
        return false;
    }
    for (const int i : {kHole, kWeight}) {
        if (inputs[i] != nvinfer1::DataType::kFLOAT) {
            logError("%s is %s; allowed is float32: cast it", kNames[i], nameOf(inputs[i]));
            return false;
        }
    }
    return true;
}

bool shapesAllowed(const InputDims& inputs, Known wanted) noexcept {
    std::int64_t known[kSizes] = {kUnknown, kUnknown, kUnknown, kUnknown};
    int namedBy[kSizes] = {};
    for (int i = 0; i < kInputs; ++i) {
        if (inputs[i].nbDims != kRanks[i]) {
            logError("%s has %d dimensions; allowed are %d: %s", kNames[i], inputs[i].nbDims, kRanks[i], kShapes[i]);
            return false;
        }
        for (int axis = 0; axis < kRanks[i]; ++axis) {
            const std::int64_t extent = inputs[i].d[axis];
            const int size = kAxes[i][axis];
            if (extent == kUnknown && wanted == Known::kSome) {
                continue;
            }
            if (extent < 1 || extent > kLargest) {
                logError("%s of %s is %lld; allowed is 1 to %lld", kSizeNames[size], kNames[i],
                    static_cast<long long>(extent), static_cast<long long>(kLargest));
                return false;
            }
            if (known[size] == kUnknown) {
                known[size] = extent;
                namedBy[size] = i;
            } else if (known[size] != extent) {
                logError("%s is %lld in %s and %lld in %s; allowed is one %s for all inputs (%s is %s)",
                    kSizeNames[size], static_cast<long long>(known[size]), kNames[namedBy[size]],
                    static_cast<long long>(extent), kNames[i], kSizeNames[size], kNames[i], kShapes[i]);
                return false;
            }
        }
    }
    return true;
}

Sizes sizesOf(const InputDims& inputs) noexcept {
    std::int64_t smallest[kSizes];
    std::fill_n(smallest, kSizes, kLargest);
    for (int i = 0; i < kInputs; ++i) {
        for (int axis = 0; axis < kRanks[i]; ++axis) {
            std::int64_t& size = smallest[kAxes[i][axis]];
            size = std::min(size, std::int64_t{inputs[i].d[axis]});
        }
    }
    return {static_cast<int>(smallest[0]), static_cast<int>(smallest[1]), static_cast<int>(smallest[2]),
        static_cast<int>(smallest[3])};
}

DataType kernelType(nvinfer1::DataType type) noexcept {
    return type == nvinfer1::DataType::kHALF ? DataType::kFloat16 : DataType::kFloat32;
}

std::size_t workspaceOf(const Sizes& smallest, const Sizes& largest, nvinfer1::DataType type) noexcept {
    const auto bytesOf = [&](int batch, int descriptor) {
        return patchReplaceWorkspaceSize(batch, largest.patches, descriptor, largest.width, kernelType(type));
    };
    std::size_t bytes = bytesOf(largest.batch, largest.descriptor);
    if (bytes == 0) {
        logError("B %d, N %d, D %d, Dv %d is more than the kernels take; make B or N smaller", largest.batch,
            largest.patches, largest.descriptor, largest.width);
        return 0;
    }
    for (int batch = std::max(1, smallest.batch); batch <= largest.batch; ++batch) {
        for (int descriptor = std::max(1, smallest.descriptor); descriptor <= largest.descriptor; ++descriptor) {
            bytes = std::max(bytes, bytesOf(batch, descriptor));
        }
    }
    return bytes;
}

}  // namespace iic
