// The two functions that IPluginRegistry::loadLibrary() looks for. Nothing else leaves the library.
#include <NvInferRuntime.h>

#include "logger.h"
#include "match_plugin.h"
#include "replace_plugin.h"
#include "search_plugin.h"

#define IIC_EXPORT extern "C" __attribute__((visibility("default")))

IIC_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) noexcept {
    static iic::PatchSearchCreator search;
    static iic::PatchMatchCreator match;
    static iic::PatchReplaceCreator replace;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {&search, &match, &replace};
    count = 3;
    return creators;
}

// Called with the engine's own nvinfer1::ILoggerFinder, whose layout need not be that of the headers used here.
IIC_EXPORT void setLoggerFinder(void* finder) noexcept { iic::setFinder(finder); }
