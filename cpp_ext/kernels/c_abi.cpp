// The launcher for callers that have no C++, such as ctypes. The meaning of the arguments is in patch_replace.h.
#include "patch_replace.h"

extern "C" {

// 0 where the sizes are not allowed. `type`: 0 float32, 1 float16.
std::size_t iic_patch_replace_workspace(int batch, int patches, int descriptor, int width, int type) {
    return iic::patchReplaceWorkspaceSize(batch, patches, descriptor, width, static_cast<iic::DataType>(type));
}

// Returns a cudaError_t.
int iic_patch_replace(void const* q, void const* k, void const* v, float const* hole, float const* weight, void* out,
    float* replaced, int batch, int patches, int descriptor, int width, float scale, int type, void* workspace,
    std::size_t workspaceBytes, void* stream) {
    iic::PatchReplaceParams const params{q, k, v, hole, weight, out, replaced, batch, patches, descriptor, width, scale,
        static_cast<iic::DataType>(type)};
    return iic::patchReplace(params, workspace, workspaceBytes, static_cast<cudaStream_t>(stream));
}

}  // extern "C"
