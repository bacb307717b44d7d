// Which patches are replaced, which are valid, and how the work is cut: one block for each image.
#pragma once

#include <cmath>

#include "search_workspace.cuh"

namespace iic {

// Turns the entries of both arrays into the sums of the entries up to and with each. Ends with all threads synchronised.
template <int kThreads>
__device__ void inclusiveScan(int* first, int* second) {
    int const me = threadIdx.x;
    for (int reach = 1; reach < kThreads; reach *= 2) {
        __syncthreads();
        int const addFirst = me >= reach ? first[me - reach] : 0;
        int const addSecond = me >= reach ? second[me - reach] : 0;
        __syncthreads();
        first[me] += addFirst;
        second[me] += addSecond;
    }
    __syncthreads();
}

// Each thread owns a run of consecutive patches, so that the order is kept and does not depend on timing.
template <int kThreads>
__global__ void compactKernel(PatchSearchParams params, SearchWorkspace ws) {
    IIC_SHARED(int, rowCounts, kThreads);
    IIC_SHARED(int, colCounts, kThreads);
    int const n = params.sizes.rows * params.sizes.columns;
    int const me = threadIdx.x;
    std::size_t const image = blockIdx.x;
    float const* hole = params.hole + image * n;
    float const* weight = params.weight + image * n;
    int* rank = ws.rank + image * n;
    int* rows = ws.rows + image * ws.rowsStride;
    int* cols = ws.cols + image * ws.colsStride;
    float* logWeight = ws.logWeight + image * ws.colsStride;

    int const run = ceilDiv(n, kThreads);
    int const begin = smaller(me * run, n);
    int const end = smaller(begin + run, n);
    int rowCount = 0;
    int colCount = 0;
    for (int i = begin; i < end; ++i) {
        rowCount += hole[i] > 0.0F;
        colCount += weight[i] > 0.0F;
    }
    rowCounts[me] = rowCount;
    colCounts[me] = colCount;
    inclusiveScan<kThreads>(rowCounts, colCounts);
    int const allRows = rowCounts[kThreads - 1];
    int const allCols = colCounts[kThreads - 1];

    int row = rowCounts[me] - rowCount;
    int col = colCounts[me] - colCount;
    for (int i = begin; i < end; ++i) {
        bool const replace = hole[i] > 0.0F && allCols > 0;
        rank[i] = replace ? row : -1;
        if (replace) {
            rows[row++] = i;
        }
        if (weight[i] > 0.0F) {
            logWeight[col] = logf(weight[i]);
            cols[col++] = i;
        }
    }
    if (me == 0) {
        ws.plan[image] = makePlan(allRows, allCols, ws.parts, ws.geometry);
    }
    __syncthreads();
    if (allCols == 0 || allRows == 0) {
        return;
    }
    for (int i = allRows + me; i < roundUp(allRows, ws.geometry.rows); i += kThreads) {
        rows[i] = rows[allRows - 1];
    }
    for (int i = allCols + me; i < roundUp(allCols, ws.geometry.cols); i += kThreads) {
        cols[i] = cols[allCols - 1];
        logWeight[i] = -INFINITY;
    }
}

}  // namespace iic
