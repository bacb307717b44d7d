// Drives libiic_rt_plugin.so as an engine does, without one: `plugin_driver LIBRARY OPERATOR COMMAND ARGUMENTS...` prints
// what the plugin answers, one fact a line, and what it logs as `log: ...`. The logger is that of the headers it is built
// with. COMMAND is one of
//     fields NAME:TYPE:COUNT:VALUES...  create from these attributes (TYPE is the number of a PluginFieldType)
//     types T...                        types of the inputs: f32, f16, i32 or i8
//     shapes T S...                     type of the first input, then shapes such as 1,64,16; 1..8 is a range, ? not known
//     enqueue                           with no device memory at all
//     orphan                            an error while there is no logger
#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace nvinfer1;

namespace {

constexpr int kOutputs = 2;
constexpr int kMostInputs = 4;

int inputs = 0;  // of the operator

struct Logger final : ILogger {
    void log(Severity severity, const char* text) noexcept override {
        std::printf("log: %d %s\n", static_cast<int>(severity), text);
    }
};

struct Finder final : ILoggerFinder {
    ILogger* findLogger() override { return &logger; }
    Logger logger;
};

// A dimension expression is a number, or -1 for one that is not known.
struct Expression final : IDimensionExpr {
    struct Value final : apiv::VDimensionExpr {
        bool isConstant() const override { return value >= 0; }
        std::int64_t getConstantValue() const override { return value; }
        bool isSizeTensor() const override { return false; }
        std::int64_t value = -1;
    };
    explicit Expression(std::int64_t value) {
        impl.value = value;
        mImpl = &impl;
    }
    Value impl;
};

struct Builder final : IExprBuilder {
    struct Value final : apiv::VExprBuilder {
        const IDimensionExpr* constant(std::int64_t value) override {
            made.push_back(std::make_unique<Expression>(value));
            return made.back().get();
        }
        const IDimensionExpr* operation(DimensionOperation, const IDimensionExpr&, const IDimensionExpr&) override {
            return nullptr;
        }
        const IDimensionExpr* declareSizeTensor(
            std::int32_t, const IDimensionExpr&, const IDimensionExpr&) override {
            return nullptr;
        }
        std::vector<std::unique_ptr<Expression>> made;
    };
    Builder() { mImpl = &impl; }
    Value impl;
};

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, at);) {
        parts.push_back(part);
    }
    return parts;
}

DataType typeOf(const std::string& name) {
    return name == "f32"   ? DataType::kFLOAT
           : name == "f16" ? DataType::kHALF
           : name == "i32" ? DataType::kINT32
                           : DataType::kINT8;
}

const char* nameOf(DataType type) {
    return type == DataType::kFLOAT   ? "f32"
           : type == DataType::kHALF  ? "f16"
           : type == DataType::kINT32 ? "i32"
                                      : "i8";
}

using Plugin = std::unique_ptr<IPluginV3>;

template <typename Capability>
Capability& capability(const Plugin& plugin, PluginCapabilityType type) {
    return *static_cast<Capability*>(plugin->getCapabilityInterface(type));
}

IPluginV3OneBuild& buildOf(const Plugin& plugin) {
    return capability<IPluginV3OneBuild>(plugin, PluginCapabilityType::kBUILD);
}

IPluginV3OneRuntime& runtimeOf(const Plugin& plugin) {
    return capability<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME);
}

Plugin create(IPluginCreatorV3One& creator, const PluginFieldCollection& fields, TensorRTPhase phase) {
    return Plugin(creator.createPlugin("layer", &fields, phase));
}

Plugin createAny(IPluginCreatorV3One& creator) {
    const std::int32_t best = 2;
    const float scale = 40;
    const std::int32_t steps[] = {2, 1};
    const PluginField fields[] = {{"best", &best, PluginFieldType::kINT32, 1},
        {"scale", &scale, PluginFieldType::kFLOAT32, 1}, {"steps", steps, PluginFieldType::kINT32, 2}};
    return create(creator, {3, fields}, TensorRTPhase::kBUILD);
}

void printFields(const char* who, const Plugin& plugin) {
    const PluginFieldCollection& fields = *runtimeOf(plugin).getFieldsToSerialize();
    std::printf("%s:", who);
    for (int i = 0; i < fields.nbFields; ++i) {
        const PluginField& field = fields.fields[i];
        std::printf(" %s:%d:%d", field.name, static_cast<int>(field.type), field.length);
        for (int n = 0; n < field.length; ++n) {
            const double value = field.type == PluginFieldType::kINT32
                ? static_cast<const std::int32_t*>(field.data)[n]
                : static_cast<const float*>(field.data)[n];
            std::printf("%c%.9g", n == 0 ? ':' : ',', value);
        }
    }
    std::puts("");
}

void runFields(IPluginCreatorV3One& creator, const std::vector<std::string>& arguments) {
    std::vector<PluginField> fields;
    std::vector<std::vector<std::string>> names;
    std::vector<std::vector<std::int32_t>> values;  // or the bits of floats
    names.reserve(arguments.size());
    values.reserve(arguments.size());
    for (const std::string& argument : arguments) {
        names.push_back(split(argument, ':'));
        const auto& parts = names.back();
        const int length = std::stoi(parts[2]);
        std::vector<std::int32_t> given;
        for (const std::string& text : split(parts[3], ',')) {
            std::int32_t bits = std::atoi(text.c_str());
            if (parts[1] == "1") {
                const float value = std::strtof(text.c_str(), nullptr);
                std::memcpy(&bits, &value, sizeof(bits));
            }
            given.push_back(bits);
        }
        given.resize(std::max<std::size_t>(length, given.size()), given.back());  // the field claims so many
        values.push_back(std::move(given));
        fields.emplace_back(
            parts[0].c_str(), values.back().data(), static_cast<PluginFieldType>(std::stoi(parts[1])), length);
    }
    const PluginFieldCollection collection{static_cast<int>(fields.size()), fields.data()};
    Plugin plugin = create(creator, collection, TensorRTPhase::kBUILD);
    if (!plugin) {
        std::puts("refused");
        return;
    }
    printFields("created", plugin);
    Plugin copy(plugin->clone());
    Plugin attached(runtimeOf(plugin).attachToContext(nullptr));
    Plugin again = create(creator, *runtimeOf(copy).getFieldsToSerialize(), TensorRTPhase::kRUNTIME);
    plugin.reset();  // what is left must stand without it
    printFields("cloned", copy);
    printFields("attached", attached);
    printFields("again", again);
}

void runTypes(const Plugin& plugin, const std::vector<std::string>& arguments) {
    std::vector<DataType> types;
    for (const std::string& argument : arguments) {
        types.push_back(typeOf(argument));
    }
    IPluginV3OneBuild& build = buildOf(plugin);
    DataType outputs[kOutputs] = {DataType::kINT8, DataType::kINT8};
    if (build.getOutputDataTypes(outputs, kOutputs, types.data(), inputs) == 0) {
        std::printf("outputs: %s %s\n", nameOf(outputs[0]), nameOf(outputs[1]));
    } else {
        std::puts("refused");
    }
    types.insert(types.end(), std::begin(outputs), std::end(outputs));
    for (const TensorFormat format : {TensorFormat::kLINEAR, TensorFormat::kCHW4}) {
        std::printf(format == TensorFormat::kLINEAR ? "linear: " : "other: ");
        std::vector<DynamicPluginTensorDesc> tensors(types.size());
        for (std::size_t i = 0; i < types.size(); ++i) {
            tensors[i].desc.type = types[i];
            tensors[i].desc.format = format;
            std::printf("%d", build.supportsFormatCombination(static_cast<int>(i), tensors.data(), inputs, kOutputs));
        }
        std::puts("");
    }
}

void runShapes(const Plugin& plugin, DataType type, const std::vector<std::string>& arguments) {
    std::vector<std::unique_ptr<Expression>> expressions;
    DimsExprs shapes[kMostInputs];
    DynamicPluginTensorDesc described[kMostInputs]{};
    PluginTensorDesc actual[kMostInputs]{};
    for (int i = 0; i < inputs; ++i) {
        const auto extents = split(arguments[static_cast<std::size_t>(i)], ',');
        Dims network{};
        Dims least{};
        Dims most{};
        network.nbDims = least.nbDims = most.nbDims = shapes[i].nbDims = static_cast<int>(extents.size());
        for (int axis = 0; axis < network.nbDims; ++axis) {
            const std::string& extent = extents[static_cast<std::size_t>(axis)];
            const std::size_t dots = extent.find("..");
            const bool isRange = dots != std::string::npos;
            least.d[axis] = extent == "?" ? -1 : std::stoll(extent);
            most.d[axis] = isRange ? std::stoll(extent.substr(dots + 2)) : least.d[axis];
            network.d[axis] = isRange ? -1 : least.d[axis];
            expressions.push_back(std::make_unique<Expression>(network.d[axis]));
            shapes[i].d[axis] = expressions.back().get();
        }
        described[i].desc.dims = network;
        described[i].desc.type = actual[i].type = type;
        described[i].min = least;
        described[i].opt = described[i].max = actual[i].dims = most;
    }
    DimsExprs outputs[kOutputs];
    Builder builder;
    const int status = buildOf(plugin).getOutputShapes(shapes, inputs, nullptr, 0, outputs, kOutputs, builder);
    std::printf("shapes: %d\n", status);
    for (int i = 0; status == 0 && i < kOutputs; ++i) {
        std::printf("output:");
        for (int axis = 0; axis < outputs[i].nbDims; ++axis) {
            std::printf(" %lld", static_cast<long long>(outputs[i].d[axis]->getConstantValue()));
        }
        std::puts("");
    }
    std::printf("configured: %d\n", buildOf(plugin).configurePlugin(described, inputs, nullptr, kOutputs));
    std::printf("changed: %d\n", runtimeOf(plugin).onShapeChange(actual, inputs, nullptr, kOutputs));
    if (described[0].max.nbDims == (inputs == 3 ? 3 : 4)) {
        std::printf("workspace: %zu\n", buildOf(plugin).getWorkspaceSize(described, inputs, nullptr, kOutputs));
    }
}

void runEnqueue(const Plugin& plugin, const std::string& wanted) {
    const Dims offset{5, {1, 1, 2, 2, 4}};
    const Dims share{4, {1, 1, 2, 4}};
    const Dims search[] = {{3, {1, 8, 4}}, {3, {1, 2, 4}}, {3, {1, 2, 4}}};
    const Dims match[] = {{4, {1, 3, 8, 16}}, {3, {1, 8, 16}}, offset, share};
    const Dims replace[] = {{4, {1, 3, 4, 8}}, {4, {1, 1, 4, 8}}, offset, share};
    const Dims* const dims = wanted == "PatchSearch" ? search : wanted == "PatchMatch" ? match : replace;
    PluginTensorDesc described[kMostInputs]{};
    for (int i = 0; i < inputs; ++i) {
        described[i].dims = dims[i];
        described[i].type = DataType::kFLOAT;
    }
    const void* inputMemory[kMostInputs]{};
    void* outputMemory[kOutputs]{};
    std::printf("enqueued: %d\n",
        runtimeOf(plugin).enqueue(described, nullptr, inputMemory, outputMemory, nullptr, nullptr));
}

}  // namespace

int main(int count, char** values) {
    const std::vector<std::string> arguments(values + 4, values + count);
    const std::string wanted = values[2];
    const std::string command = values[3];
    void* library = dlopen(values[1], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::printf("%s\n", dlerror());
        return 1;
    }
    using GetCreators = IPluginCreatorInterface* const* (*)(std::int32_t&);
    using SetLoggerFinder = void (*)(ILoggerFinder*);
    std::int32_t creators = 0;
    auto* const* list = reinterpret_cast<GetCreators>(dlsym(library, "getCreators"))(creators);
    static Finder finder;
    if (command != "orphan") {
        reinterpret_cast<SetLoggerFinder>(dlsym(library, "setLoggerFinder"))(&finder);
    }
    IPluginCreatorV3One* found = nullptr;
    for (int i = 0; i < creators; ++i) {
        auto* creator = static_cast<IPluginCreatorV3One*>(list[i]);
        std::printf("creator: %s %s %s\n", creator->getPluginName(), creator->getPluginVersion(),
            creator->getPluginNamespace());
        found = creator->getPluginName() == wanted ? creator : found;
    }
    IPluginCreatorV3One& creator = *found;
    inputs = wanted == "PatchSearch" ? 3 : 4;
    if (command == "fields" || command == "orphan") {
        runFields(creator, arguments);
    } else if (command == "types") {
        runTypes(createAny(creator), arguments);
    } else if (command == "shapes") {
        runShapes(createAny(creator), typeOf(arguments[0]), {arguments.begin() + 1, arguments.end()});
    } else {
        runEnqueue(createAny(creator), wanted);
    }
    return 0;
}
