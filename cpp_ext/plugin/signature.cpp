#include "signature.h"

#include <algorithm>
#include <limits>

#include "logger.h"

namespace iic {
namespace {

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

bool isFloat(nvinfer1::DataType type) noexcept {
    return type == nvinfer1::DataType::kFLOAT || type == nvinfer1::DataType::kHALF;
}

// `first`: the type of the first input, which is T.
bool fits(Kind kind, nvinfer1::DataType type, nvinfer1::DataType first) noexcept {
    switch (kind) {
        case Kind::kT: return isFloat(type) && type == first;
        case Kind::kFloat32: return type == nvinfer1::DataType::kFLOAT;
        case Kind::kInt32: return type == nvinfer1::DataType::kINT32;
    }
    return false;
}

// Takes the extent of an axis; logs where it is not allowed, or another input names its size differently.
bool extentAllowed(const Signature& signature, int i, int axis, std::int64_t extent, Extents& extents,
    int (&namedBy)[kMostSizes]) noexcept {
    const Input& input = signature.input[i];
    const int size = input.axes[axis];
    const auto got = static_cast<long long>(extent);
    if (size < 0) {
        const int allowed = fixedExtent(size);
        if (extent != allowed) {
            logError(signature.name, "axis %d of %s is %lld; allowed is %d (%s is %s)", axis, input.name, got, allowed,
                input.name, input.shape);
        }
        return extent == allowed;
    }
    const char* name = signature.sizeNames[size];
    if (extent < 1 || extent > kLargest) {
        logError(signature.name, "%s of %s is %lld; allowed is 1 to %lld", name, input.name, got,
            static_cast<long long>(kLargest));
        return false;
    }
    std::int64_t& known = extents.size[size];
    if (known != kUnknown && known != extent) {
        logError(signature.name, "%s is %lld in %s and %lld in %s; allowed is one %s for all inputs (%s is %s)", name,
            static_cast<long long>(known), signature.input[namedBy[size]].name, got, input.name, name, input.name,
            input.shape);
        return false;
    }
    if (known == kUnknown) {
        known = extent;
        namedBy[size] = i;
    }
    return true;
}

}  // namespace

bool countsAllowed(const Signature& signature, int inputs, int outputs) noexcept {
    if (inputs != signature.inputs || outputs != kOutputs) {
        logError(signature.name, "%d inputs and %d outputs; allowed are %s", inputs, outputs, signature.tensors);
        return false;
    }
    return true;
}

bool typesAllowed(const Signature& signature, const nvinfer1::DataType* inputs) noexcept {
    const char* first = signature.input[0].name;
    if (!isFloat(inputs[0])) {
        logError(signature.name, "%s is %s; allowed is float32 or float16: cast it", first, nameOf(inputs[0]));
        return false;
    }
    for (int i = 1; i < signature.inputs; ++i) {
        const Input& input = signature.input[i];
        if (fits(input.kind, inputs[i], inputs[0])) {
            continue;
        }
        if (input.kind == Kind::kT) {
            logError(signature.name, "%s is %s and %s is %s; allowed is one type for both: cast one", first,
                nameOf(inputs[0]), input.name, nameOf(inputs[i]));
        } else {
            logError(signature.name, "%s is %s; allowed is %s: cast it", input.name, nameOf(inputs[i]),
                input.kind == Kind::kFloat32 ? "float32" : "int32");
        }
        return false;
    }
    return true;
}

bool shapesAllowed(
    const Signature& signature, const nvinfer1::Dims* inputs, Known wanted, Extents& extents) noexcept {
    std::fill_n(extents.size, kMostSizes, kUnknown);
    int namedBy[kMostSizes] = {};
    for (int i = 0; i < signature.inputs; ++i) {
        const Input& input = signature.input[i];
        if (inputs[i].nbDims != input.rank) {
            logError(signature.name, "%s has %d dimensions; allowed are %d: %s", input.name, inputs[i].nbDims,
                input.rank, input.shape);
            return false;
        }
        for (int axis = 0; axis < input.rank; ++axis) {
            const std::int64_t extent = inputs[i].d[axis];
            const bool isOpen = extent == kUnknown && wanted == Known::kSome;
            if (!isOpen && !extentAllowed(signature, i, axis, extent, extents, namedBy)) {
                return false;
            }
        }
    }
    return true;
}

bool typeFits(const Signature& signature, int position, const nvinfer1::DynamicPluginTensorDesc* tensors) noexcept {
    const bool isInput = position < signature.inputs;
    const Kind kind = isInput ? signature.input[position].kind : signature.output[position - signature.inputs];
    return fits(kind, tensors[position].desc.type, tensors[0].desc.type);
}

Extents leastOf(const Signature& signature, const nvinfer1::Dims* inputs) noexcept {
    Extents least{};
    std::fill_n(least.size, kMostSizes, kLargest);
    for (int i = 0; i < signature.inputs; ++i) {
        for (int axis = 0; axis < signature.input[i].rank; ++axis) {
            const int size = signature.input[i].axes[axis];
            if (size >= 0) {
                least.size[size] = std::min(least.size[size], std::int64_t{inputs[i].d[axis]});
            }
        }
    }
    return least;
}

DataType kernelType(nvinfer1::DataType type) noexcept {
    return type == nvinfer1::DataType::kHALF ? DataType::kFloat16 : DataType::kFloat32;
}

}  // namespace iic
