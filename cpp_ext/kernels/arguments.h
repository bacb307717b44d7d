// Checks of arguments that all launchers make.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>

#include "operand_types.h"

namespace iic {

constexpr int kMaxGrid = 65535;  // in y and z

inline bool typeAllowed(DataType type) { return type == DataType::kFloat32 || type == DataType::kFloat16; }

// Whether the numbers are 1 or more each, and their product, with room for rounding up, fits an int.
inline bool productAllowed(std::initializer_list<int> factors) {
    constexpr std::int64_t kMost = std::numeric_limits<int>::max() - 1024;
    std::int64_t product = 1;
    for (int const factor : factors) {
        if (factor < 1) {
            return false;
        }
        product *= factor;
        if (product > kMost) {
            return false;
        }
    }
    return true;
}

inline bool pointersAllowed(std::initializer_list<void const*> pointers) {
    for (void const* const pointer : pointers) {
        if (pointer == nullptr || reinterpret_cast<std::uintptr_t>(pointer) % 16 != 0) {
            return false;
        }
    }
    return true;
}

}  // namespace iic
