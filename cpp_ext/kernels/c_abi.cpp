// The launchers for callers that have no C++, such as ctypes. The meaning of the arguments is in their headers.
#include "patch_match.h"
#include "patch_replace.h"
#include "patch_search.h"

extern "C" {

// 0 where the sizes are not allowed.
std::size_t iic_patch_search_workspace(iic::PatchSearchSizes const* sizes) {
    return iic::patchSearchWorkspaceSize(*sizes);
}

// Returns a cudaError_t, as do the others.
int iic_patch_search(
    iic::PatchSearchParams const* params, void* workspace, std::size_t workspaceBytes, void* stream) {
    return iic::patchSearch(*params, workspace, workspaceBytes, static_cast<cudaStream_t>(stream));
}

std::size_t iic_patch_match_workspace(iic::PatchMatchSizes const* sizes) {
    return iic::patchMatchWorkspaceSize(*sizes);
}

int iic_patch_match(iic::PatchMatchParams const* params, void* workspace, std::size_t workspaceBytes, void* stream) {
    return iic::patchMatch(*params, workspace, workspaceBytes, static_cast<cudaStream_t>(stream));
}

int iic_patch_replace(iic::PatchReplaceParams const* params, void* stream) {
    return iic::patchReplace(*params, static_cast<cudaStream_t>(stream));
}

}  // extern "C"
