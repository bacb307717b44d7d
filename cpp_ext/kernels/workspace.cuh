// How the work is cut up, and where the intermediate results lie in the workspace.
//
// Only the device knows how many rows are holes and how many patches are valid. The grid is therefore launched for the
// worst case, the compaction writes a Plan, and blocks without work leave at once.
#pragma once

#include <cstddef>

#include "patch_replace.h"
#include "portable.cuh"

namespace iic {

// What one block of the attention kernel holds at a time.
struct Geometry {
    int rows;   // hole rows
    int cols;   // valid patches of one step
    int width;  // values of a patch; a wider v is cut into chunks, one block each
};

struct Plan {
    int rows;           // hole rows; 0 where there is no valid patch
    int cols;           // valid patches
    int splits;         // blocks that share the valid patches of one row tile
    int tilesPerSplit;  // steps of each of them
};

struct RowStatistics {
    float maximum;  // of the logits, in powers of two
    float sum;      // of 2^(logit - maximum)
};

struct Workspace {
    Geometry geometry;
    int parts;           // unfinished results there is room for, for each picture
    int rowsStride;      // patches, rounded up to whole tiles
    int colsStride;
    int partialStride;   // width, rounded up for 16-byte access
    Plan* plan;          // [batch]
    int* rank;           // [batch, patches], place among the hole rows, -1 = this row passes
    int* rows;           // [batch, rowsStride], the hole rows in ascending order; the last one is repeated up to a tile
    int* cols;           // [batch, colsStride], the valid patches, likewise
    float* logWeight;    // [batch, colsStride], log2 of their weight, -inf where repeated
    RowStatistics* statistics;  // [batch, parts, geometry.rows]
    float* partial;             // [batch, parts, geometry.rows, partialStride], sums not yet divided
    std::size_t bytes;
};

// More blocks than row tiles are needed to fill a large device when the hole is small. Their unfinished results cost
// memory and traffic, hence both limits.
constexpr int kMaxParts = 64;
constexpr int kMinTilesPerSplit = 4;

__host__ __device__ constexpr int ceilDiv(int a, int b) { return a / b + (a % b != 0); }
__host__ __device__ constexpr int roundUp(int a, int b) { return ceilDiv(a, b) * b; }
__host__ __device__ constexpr int smaller(int a, int b) { return a < b ? a : b; }
__host__ __device__ constexpr int larger(int a, int b) { return a > b ? a : b; }

constexpr int chunkCount(int width, Geometry const& geometry) { return ceilDiv(width, geometry.width); }

// Chunks of even width; a multiple of 8, so that each starts on 16 bytes.
__device__ inline int chunkWidth(int width, int chunks) { return roundUp(ceilDiv(width, chunks), 8); }

class Carver {
  public:
    explicit Carver(void* base) : mBase(static_cast<char*>(base)) {}

    template <typename T>
    T* take(std::size_t count) {
        std::size_t const offset = mUsed;
        mUsed += (count * sizeof(T) + 255) / 256 * 256;
        return mBase == nullptr ? nullptr : reinterpret_cast<T*>(mBase + offset);
    }

    std::size_t used() const { return mUsed; }

  private:
    char* mBase;
    std::size_t mUsed = 0;
};

inline Workspace layOut(void* base, int batch, int patches, int width, Geometry const& geometry) {
    Workspace ws{};
    ws.geometry = geometry;
    int const mostSplits = larger(1, ceilDiv(patches, geometry.cols) / kMinTilesPerSplit);
    int const mostTiles = ceilDiv(patches, geometry.rows);
    ws.parts = larger(1, kMaxParts / batch);
    if (mostSplits <= ws.parts && mostTiles <= ws.parts) {
        ws.parts = smaller(ws.parts, mostTiles * mostSplits);
    }
    ws.rowsStride = roundUp(patches, geometry.rows);
    ws.colsStride = roundUp(patches, geometry.cols);
    ws.partialStride = roundUp(width, 8);
    std::size_t const b = batch;
    Carver carver(base);
    ws.plan = carver.take<Plan>(b);
    ws.rank = carver.take<int>(b * patches);
    ws.rows = carver.take<int>(b * ws.rowsStride);
    ws.cols = carver.take<int>(b * ws.colsStride);
    ws.logWeight = carver.take<float>(b * ws.colsStride);
    if (ws.parts > 1) {
        ws.statistics = carver.take<RowStatistics>(b * ws.parts * geometry.rows);
        ws.partial = carver.take<float>(b * ws.parts * geometry.rows * ws.partialStride);
    }
    ws.bytes = carver.used();
    return ws;
}

__device__ inline Plan makePlan(int rows, int cols, int parts, Geometry const& geometry) {
    if (rows == 0 || cols == 0) {
        return Plan{0, cols, 1, 0};
    }
    int const rowTiles = ceilDiv(rows, geometry.rows);
    int const colTiles = ceilDiv(cols, geometry.cols);
    int const wanted = larger(1, smaller(parts / rowTiles, colTiles / kMinTilesPerSplit));
    int const tilesPerSplit = ceilDiv(colTiles, wanted);
    return Plan{rows, cols, ceilDiv(colTiles, tilesPerSplit), tilesPerSplit};
}

// The share of one block of the attention kernel: a tile of rows, some tiles of patches, a chunk of the values.
struct WorkUnit {
    bool any;        // false: nothing to do
    int firstRow;    // in the compacted rows
    int rowCount;    // rows that exist; the rest of the tile repeats the last one
    int firstTile;
    int endTile;
    int firstValue;  // column of v
    int valueCount;
    bool whole;      // no other block shares these rows: the result is final
    std::size_t part;
};

__device__ inline WorkUnit takeUnit(PatchReplaceParams const& params, Workspace const& ws) {
    int const picture = blockIdx.z;
    Plan const plan = ws.plan[picture];
    int const unit = blockIdx.x;
    int const split = unit % plan.splits;
    WorkUnit work{};
    work.firstRow = unit / plan.splits * ws.geometry.rows;
    work.rowCount = smaller(plan.rows - work.firstRow, ws.geometry.rows);
    work.any = work.rowCount > 0;
    work.firstTile = split * plan.tilesPerSplit;
    work.endTile = smaller(work.firstTile + plan.tilesPerSplit, ceilDiv(plan.cols, ws.geometry.cols));
    int const width = chunkWidth(params.width, gridDim.y);
    work.firstValue = blockIdx.y * width;
    work.valueCount = smaller(params.width - work.firstValue, width);
    work.any = work.any && work.valueCount > 0;
    work.whole = plan.splits == 1;
    work.part = static_cast<std::size_t>(picture) * ws.parts + unit;
    return work;
}

}  // namespace iic
