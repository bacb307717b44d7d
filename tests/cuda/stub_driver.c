// A CUDA driver of one device whose memory is the host's: enough of libcuda.so.1 for the real bindings to call.
// Work is done when it is enqueued, unless it is captured. Types are those of the public ABI (cuda.h), written out.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500 };
enum { CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, MAX_OPS = 64 };
enum { STREAM = 0x57, EVENT = 0xe7, GRAPH = 0x67, EXEC = 0x6e };
typedef unsigned long long Address;

typedef struct {
    size_t srcXInBytes, srcY;
    int srcMemoryType;
    const void* srcHost;
    Address srcDevice;
    void* srcArray;
    size_t srcPitch, dstXInBytes, dstY;
    int dstMemoryType;
    void* dstHost;
    Address dstDevice;
    void* dstArray;
    size_t dstPitch, WidthInBytes, Height;
} Copy2D;

typedef struct {
    int kind;
    struct Graph* capture;  // of a stream
    float time;             // of an event
} Object;
typedef struct {
    Copy2D copy;
    Object* event;  // to set; NULL for a copy
} Op;
typedef struct Graph {
    int kind, length, broken;
    Op ops[MAX_OPS];
} Graph;

static const size_t kTotal = 1 << 20;
static size_t used = 0;
static int live = 0, retained = 0, initialised = 0;
static float now = 0;
static int primary = 0;  // its address is the context
static __thread void* current = NULL;
static Graph* capturing = NULL;
static size_t sizes[1024];  // of allocations, by their number in the list below
static void* allocations[1024];

int stub_live(void) { return live; }

#define NEED(condition, status) \
    if (!(condition)) return status
#define IN_CONTEXT() NEED(current == &primary, NO_CONTEXT)

static int is(const void* handle, int kind) { return handle && *(const int*)handle == kind; }

static void* make(int kind, size_t size) {
    int* made = calloc(1, size);
    *made = kind;
    live++;
    return made;
}

static int drop(void* handle, int kind) {
    NEED(is(handle, kind), INVALID_HANDLE);
    *(int*)handle = 0;
    free(handle);
    live--;
    return OK;
}

static void run(const Op* op) {
    now += 1;
    if (op->event) {
        op->event->time = now;
        return;
    }
    const Copy2D* c = &op->copy;
    for (size_t row = 0; row < c->Height; row++)
        memcpy((char*)c->dstDevice + row * c->dstPitch, (const char*)c->srcDevice + row * c->srcPitch, c->WidthInBytes);
}

static int enqueue(Object* stream, const Op* op) {
    IN_CONTEXT();
    NEED(stream == NULL || is(stream, STREAM), INVALID_HANDLE);
    if (stream == NULL || stream->capture == NULL) {
        run(op);
        return OK;
    }
    NEED(stream->capture->length < MAX_OPS, OUT_OF_MEMORY);
    stream->capture->ops[stream->capture->length++] = *op;
    return OK;
}

static int copy(Address target, Address source, size_t size, Object* stream) {
    Op op = {.event = NULL};
    op.copy.dstDevice = target;
    op.copy.srcDevice = source;
    op.copy.dstPitch = op.copy.srcPitch = op.copy.WidthInBytes = size;
    op.copy.Height = 1;
    return enqueue(stream, &op);
}

static int init(unsigned flags) { return initialised = 1, flags ? INVALID_VALUE : OK; }
static int driver_version(int* version) { return *version = 13000, OK; }
static int error_string(int error, const char** text) {
    return *text = error == OUT_OF_MEMORY ? "out of memory" : "another error", OK;
}
static int device_get(int* device, int ordinal) {
    NEED(initialised, 3);
    return *device = ordinal, ordinal ? 101 : OK;
}
static int device_name(char* name, int length, int device) { return strncpy(name, "Stub GPU", length), OK; }
static int device_memory(size_t* bytes, int device) { return *bytes = kTotal, OK; }
static int device_attribute(int* value, int attribute, int device) {
    switch (attribute) {
        case 18: *value = 1; return OK;  // INTEGRATED
        case 75: *value = 8; return OK;  // COMPUTE_CAPABILITY_MAJOR
        case 76: *value = 7; return OK;  // COMPUTE_CAPABILITY_MINOR
        case 99: *value = 1; return OK;  // HOST_REGISTER_SUPPORTED
        default: return INVALID_VALUE;
    }
}
static int context_current(void** context) { return *context = current, OK; }
static int context_set(void* context) { return current = context, OK; }
static int context_device(int* device) {
    IN_CONTEXT();
    return *device = 0, OK;
}
static int primary_state(int device, unsigned* flags, int* active) { return *flags = 0, *active = retained > 0, OK; }
static int primary_retain(void** context, int device) { return retained++, live++, *context = &primary, OK; }
static int primary_release(int device) {
    NEED(retained > 0, NO_CONTEXT);
    return retained--, live--, OK;
}

static int memory_info(size_t* left, size_t* total) {
    IN_CONTEXT();
    return *left = kTotal - used, *total = kTotal, OK;
}
static int memory_allocate(Address* address, size_t size) {
    IN_CONTEXT();
    if (capturing) return capturing->broken = 1, CAPTURE_UNSUPPORTED;
    NEED(size && used + size <= kTotal, OUT_OF_MEMORY);
    int i = 0;
    while (allocations[i]) i++;
    allocations[i] = aligned_alloc(256, (size + 255) / 256 * 256);
    sizes[i] = size;
    used += size;
    live++;
    return *address = (Address)(uintptr_t)allocations[i], OK;
}
static int memory_free(Address address) {
    for (int i = 0; i < 1024; i++)
        if (address && allocations[i] == (void*)(uintptr_t)address) {
            free(allocations[i]);
            allocations[i] = NULL;
            used -= sizes[i];
            return live--, OK;
        }
    return INVALID_VALUE;
}
static int host_register(void* memory, size_t size, unsigned flags) {
    IN_CONTEXT();
    NEED(flags == 2 && (uintptr_t)memory % 4096 == 0 && size % 4096 == 0, INVALID_VALUE);  // DEVICEMAP
    return live++, OK;
}
static int host_unregister(void* memory) { return live--, OK; }
static int host_pointer(Address* address, void* memory, unsigned flags) {
    return *address = (Address)(uintptr_t)memory, flags ? INVALID_VALUE : OK;
}
static int copy_in(Address target, const void* source, size_t size, Object* stream) {
    return copy(target, (Address)(uintptr_t)source, size, stream);
}
static int copy_out(void* target, Address source, size_t size, Object* stream) {
    return copy((Address)(uintptr_t)target, source, size, stream);
}
static int copy_2d(const Copy2D* given, Object* stream) {
    NEED(given->srcMemoryType == 4 && given->dstMemoryType == 4, INVALID_VALUE);  // UNIFIED
    NEED(!given->srcXInBytes && !given->srcY && !given->dstXInBytes && !given->dstY, INVALID_VALUE);
    Op op = {*given, NULL};
    return enqueue(stream, &op);
}

static int stream_create(Object** stream, unsigned flags) {
    IN_CONTEXT();
    NEED(flags == 1, INVALID_VALUE);  // NON_BLOCKING
    return *stream = make(STREAM, sizeof(Object)), OK;
}
static int stream_destroy(Object* stream) { return drop(stream, STREAM); }
static int stream_wait(Object* stream, Object* event, unsigned flags) {
    NEED(is(event, EVENT), INVALID_HANDLE);
    return flags ? INVALID_VALUE : OK;
}
static int event_create(Object** event, unsigned flags) {
    IN_CONTEXT();
    NEED(flags == 1, INVALID_VALUE);  // BLOCKING_SYNC
    return *event = make(EVENT, sizeof(Object)), OK;
}
static int event_destroy(Object* event) { return drop(event, EVENT); }
static int event_record(Object* event, Object* stream) {
    NEED(is(event, EVENT), INVALID_HANDLE);
    Op op = {.event = event};
    return enqueue(stream, &op);
}
static int event_record_flags(Object* event, Object* stream, unsigned flags) {
    NEED(flags == 1, INVALID_VALUE);  // EXTERNAL
    return event_record(event, stream);
}
static int event_wait(Object* event) { return is(event, EVENT) ? OK : INVALID_HANDLE; }
static int event_elapsed(float* ms, Object* first, Object* second) {
    NEED(is(first, EVENT) && is(second, EVENT), INVALID_HANDLE);
    return *ms = second->time - first->time, OK;
}

static int capture_begin(Object* stream, int mode) {
    IN_CONTEXT();
    NEED(is(stream, STREAM) && mode == 1, INVALID_VALUE);  // THREAD_LOCAL
    capturing = stream->capture = make(GRAPH, sizeof(Graph));
    return OK;
}
static int capture_end(Object* stream, Graph** graph) {
    NEED(is(stream, STREAM) && stream->capture, INVALID_VALUE);
    *graph = stream->capture;
    capturing = stream->capture = NULL;
    if (!(*graph)->broken) return OK;
    drop(*graph, GRAPH);
    return *graph = NULL, CAPTURE_INVALIDATED;
}
static int graph_instantiate(Graph** exec, Graph* graph, unsigned long long flags) {
    NEED(is(graph, GRAPH) && !flags, INVALID_VALUE);
    *exec = make(EXEC, sizeof(Graph));
    memcpy((*exec)->ops, graph->ops, sizeof graph->ops);
    return (*exec)->length = graph->length, OK;
}
static int graph_destroy(Graph* graph) { return drop(graph, GRAPH); }
static int graph_launch(Graph* exec, Object* stream) {
    IN_CONTEXT();
    NEED(is(exec, EXEC) && (stream == NULL || is(stream, STREAM)), INVALID_HANDLE);
    for (int i = 0; i < exec->length; i++) run(&exec->ops[i]);
    return OK;
}
static int graph_exec_destroy(Graph* exec) { return drop(exec, EXEC); }

int cuGetProcAddress_v2(const char* name, void** function, int version, uint64_t flags, int* status);

// A function and the oldest version of CUDA whose ABI it has: the bindings must not ask for an older one.
static const struct { const char* name; void* function; int since; } kTable[] = {
    {"cuGetProcAddress", cuGetProcAddress_v2, 12000}, {"cuInit", init, 2000},
    {"cuDriverGetVersion", driver_version, 2020}, {"cuGetErrorString", error_string, 6000},
    {"cuDeviceGet", device_get, 2000}, {"cuDeviceGetName", device_name, 2000},
    {"cuDeviceTotalMem", device_memory, 3020}, {"cuDeviceGetAttribute", device_attribute, 2000},
    {"cuCtxGetCurrent", context_current, 4000}, {"cuCtxSetCurrent", context_set, 4000},
    {"cuCtxGetDevice", context_device, 2000}, {"cuDevicePrimaryCtxGetState", primary_state, 7000},
    {"cuDevicePrimaryCtxRetain", primary_retain, 7000}, {"cuDevicePrimaryCtxRelease", primary_release, 11000},
    {"cuMemGetInfo", memory_info, 3020}, {"cuMemAlloc", memory_allocate, 3020}, {"cuMemFree", memory_free, 3020},
    {"cuMemHostRegister", host_register, 6050}, {"cuMemHostUnregister", host_unregister, 4000},
    {"cuMemHostGetDevicePointer", host_pointer, 3020}, {"cuMemcpyHtoDAsync", copy_in, 3020},
    {"cuMemcpyDtoHAsync", copy_out, 3020}, {"cuMemcpy2DAsync", copy_2d, 3020},
    {"cuStreamCreate", stream_create, 2000}, {"cuStreamDestroy", stream_destroy, 4000},
    {"cuStreamWaitEvent", stream_wait, 3020}, {"cuEventCreate", event_create, 2000},
    {"cuEventDestroy", event_destroy, 4000}, {"cuEventRecord", event_record, 2000},
    {"cuEventRecordWithFlags", event_record_flags, 11010}, {"cuEventSynchronize", event_wait, 2000},
    {"cuEventElapsedTime", event_elapsed, 2000}, {"cuStreamBeginCapture", capture_begin, 10010},
    {"cuStreamEndCapture", capture_end, 10000}, {"cuGraphInstantiate", graph_instantiate, 12000},
    {"cuGraphInstantiateWithFlags", graph_instantiate, 11040},
    {"cuGraphDestroy", graph_destroy, 10000}, {"cuGraphLaunch", graph_launch, 10000},
    {"cuGraphExecDestroy", graph_exec_destroy, 10000},
};

int cuGetProcAddress_v2(const char* name, void** function, int version, uint64_t flags, int* status) {
    *function = NULL;
    for (size_t i = 0; i < sizeof kTable / sizeof *kTable; i++)
        if (strcmp(kTable[i].name, name) == 0 && version >= kTable[i].since) *function = kTable[i].function;
    if (status) *status = *function ? 0 : 1;
    return *function ? OK : NOT_FOUND;
}
