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

// TensorRT 11 and TensorRT-RTX derive ILogger and ILoggerFinder from IVersionedInterface, TensorRT 10 does not: the
// functions lie at other places of the vtable. The engine that loads the library need not be the one whose headers
// built it, so both layouts are written out here, and the object itself is asked which one it has.
struct PlainLogger {
    virtual void log(std::int32_t severity, const char* text) noexcept = 0;
};

struct PlainFinder {
    virtual PlainLogger* findLogger() = 0;
};

struct VersionedLogger : nvinfer1::IVersionedInterface {
    virtual void log(std::int32_t severity, const char* text) noexcept = 0;
};

struct VersionedFinder : nvinfer1::IVersionedInterface {
    virtual VersionedLogger* findLogger() = 0;
};

constexpr std::int32_t kError = 1;  // nvinfer1::ILogger::Severity::kERROR, the same number in all versions

std::atomic<void*> currentFinder{nullptr};

bool isVersioned(const std::type_info& type) {
    if (type == typeid(nvinfer1::IVersionedInterface)) {
        return true;
    }
    const auto* derived = dynamic_cast<const abi::__si_class_type_info*>(&type);
    return derived != nullptr && isVersioned(*derived->__base_type);
}

template <typename Finder>
bool logThrough(void* finder, const char* text) {
    auto* logger = static_cast<Finder*>(finder)->findLogger();
    if (logger == nullptr) {
        return false;
    }
    logger->log(kError, text);
    return true;
}

bool logThroughEngine(const char* text) noexcept {
    void* finder = currentFinder.load();
    if (finder == nullptr) {
        return false;
    }
    try {  // findLogger() is the engine's and may throw
        const bool versioned = isVersioned(typeid(*static_cast<PlainFinder*>(finder)));
        return versioned ? logThrough<VersionedFinder>(finder, text) : logThrough<PlainFinder>(finder, text);
    } catch (...) {
        return false;
    }
}

}  // namespace

void setFinder(void* finder) noexcept { currentFinder.store(finder); }

void logError(const char* format, ...) noexcept {
    constexpr char kPrefix[] = "iic::PatchReplace: ";
    constexpr std::size_t kPrefixLength = sizeof(kPrefix) - 1;
    char text[kPrefixLength + 500];
    std::snprintf(text, sizeof(text), "%s", kPrefix);
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text + kPrefixLength, sizeof(text) - kPrefixLength, format, arguments);
    va_end(arguments);
    if (!logThroughEngine(text)) {
        std::fprintf(stderr, "%s\n", text);
    }
}

}  // namespace iic
