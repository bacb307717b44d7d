#include "logger.h"

#include <NvInferRuntime.h>
#include <cxxabi.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <typeinfo>

namespace iic {
namespace {

// TensorRT 11 and TensorRT-RTX derive ILogger and ILoggerFinder from IVersionedInterface, TensorRT 10 does not, which
// moves ILoggerFinder::findLogger() and ILogger::log() in the vtable. The engine that loads the library need not be the
// one whose headers built it, so the object itself is asked, and called by the place of the function. (Classes of our
// own with either layout would not do: nothing derives from them here, so the compiler may take them as never called.)
constexpr int kPlainSlot = 0;      // the first function of its class
constexpr int kVersionedSlot = 4;  // after getAPILanguage(), getInterfaceInfo() and two destructors

constexpr std::int32_t kError = 1;  // nvinfer1::ILogger::Severity::kERROR, the same number in all versions

std::atomic<void*> currentFinder{nullptr};

void** vtableOf(void* object) noexcept { return *static_cast<void***>(object); }

bool isVersioned(const std::type_info& type) {
    if (type == typeid(nvinfer1::IVersionedInterface)) {
        return true;
    }
    const auto* derived = dynamic_cast<const abi::__si_class_type_info*>(&type);
    return derived != nullptr && isVersioned(*derived->__base_type);
}

bool logThroughEngine(const char* text) noexcept {
    void* finder = currentFinder.load();
    if (finder == nullptr) {
        return false;
    }
    try {  // findLogger() is the engine's and may throw
        const auto& type = *static_cast<const std::type_info*>(vtableOf(finder)[-1]);
        const int slot = isVersioned(type) ? kVersionedSlot : kPlainSlot;
        void* logger = reinterpret_cast<void* (*)(void*)>(vtableOf(finder)[slot])(finder);
        if (logger == nullptr) {
            return false;
        }
        reinterpret_cast<void (*)(void*, std::int32_t, const char*)>(vtableOf(logger)[slot])(logger, kError, text);
        return true;
    } catch (...) {
        return false;
    }
}

}  // namespace

void setFinder(void* finder) noexcept { currentFinder.store(finder); }

void logError(const char* name, const char* format, ...) noexcept {
    char text[540];
    const int start = std::snprintf(text, sizeof(text), "iic::%s: ", name);
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text + start, sizeof(text) - start, format, arguments);
    va_end(arguments);
    if (!logThroughEngine(text)) {
        std::fprintf(stderr, "%s\n", text);
    }
}

}  // namespace iic
