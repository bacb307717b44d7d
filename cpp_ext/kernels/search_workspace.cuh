// How the search is cut up, and where its intermediate results lie in the workspace.
//
// Only the device knows how many patches are holes and how many are valid. The grid is therefore launched for the worst
// case, the compaction writes a Plan, and blocks without work leave at once.
#pragma once

#include <cstddef>

#include "patch_search.h"
#include "portable.cuh"

namespace iic {

// What one block of a search kernel holds at a time.
struct Geometry {
    int rows;  // hole patches
    int cols;  // valid patches of one step
};

struct Plan {
    int rows;           // hole patches; 0 where there is no valid patch
    int cols;           // valid patches
    int splits;         // blocks that share the valid patches of one row tile
    int tilesPerSplit;  // steps of each of them
};

struct Candidate {
    float logit;
    int patch;  // kNoPatch where there are no more
};

struct SearchWorkspace {
    Geometry geometry;
    int list;        // candidates that are kept for a row
    int parts;       // blocks that an image is cut into where it has fewer row tiles
    int units;       // blocks that there is room for, for each image
    int rowsStride;  // patches, rounded up to whole tiles
    int colsStride;
    Plan* plan;        // [batch]
    int* rank;         // [batch, patches], place among the hole patches, -1 = not one of them
    int* rows;         // [batch, rowsStride], the hole patches in ascending order; the last one is repeated up to a tile
    int* cols;         // [batch, colsStride], the valid patches, likewise
    float* logWeight;  // [batch, colsStride], log of their weight, -inf where repeated
    Candidate* found;  // [batch, units, geometry.rows, list], of each block
    std::size_t bytes;
};

// More blocks than row tiles are needed to fill a large device when the hole is small. The limits are the lists to be
// merged, and a start of each block that takes as long as a step.
constexpr int kMaxParts = 512;
constexpr int kMinTilesPerSplit = 2;

// Lists of 1 and kMostBest are built; what lies between takes the longer one.
constexpr int listLength(int best) { return best == 1 ? 1 : kMostBest; }

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

inline SearchWorkspace layOut(void* base, PatchSearchSizes const& sizes, Geometry const& geometry) {
    SearchWorkspace ws{};
    int const patches = sizes.rows * sizes.columns;
    int const mostTiles = ceilDiv(patches, geometry.rows);
    int const mostSplits = larger(1, ceilDiv(patches, geometry.cols) / kMinTilesPerSplit);
    ws.geometry = geometry;
    ws.list = listLength(sizes.best);
    ws.parts = kMaxParts / mostSplits < mostTiles ? kMaxParts : mostTiles * mostSplits;
    ws.units = larger(mostTiles, ws.parts);
    ws.rowsStride = roundUp(patches, geometry.rows);
    ws.colsStride = roundUp(patches, geometry.cols);
    std::size_t const b = sizes.batch;
    Carver carver(base);
    ws.plan = carver.take<Plan>(b);
    ws.rank = carver.take<int>(b * patches);
    ws.rows = carver.take<int>(b * ws.rowsStride);
    ws.cols = carver.take<int>(b * ws.colsStride);
    ws.logWeight = carver.take<float>(b * ws.colsStride);
    ws.found = carver.take<Candidate>(b * ws.units * geometry.rows * ws.list);
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

// The share of one block of a search kernel: a tile of rows and some tiles of valid patches.
struct WorkUnit {
    int firstRow;  // in the compacted rows
    int rowCount;  // rows that exist; the rest of the tile repeats the last one. 0 or less: nothing to do
    int firstTile;
    int endTile;
    std::size_t found;  // place of its first list in SearchWorkspace::found
};

__device__ inline WorkUnit takeUnit(SearchWorkspace const& ws) {
    int const image = blockIdx.y;
    Plan const plan = ws.plan[image];
    int const unit = blockIdx.x;
    int const split = unit % plan.splits;
    WorkUnit work{};
    work.firstRow = unit / plan.splits * ws.geometry.rows;
    work.rowCount = smaller(plan.rows - work.firstRow, ws.geometry.rows);
    work.firstTile = split * plan.tilesPerSplit;
    work.endTile = smaller(work.firstTile + plan.tilesPerSplit, ceilDiv(plan.cols, ws.geometry.cols));
    work.found = (static_cast<std::size_t>(image) * ws.units + unit) * ws.geometry.rows * ws.list;
    return work;
}

}  // namespace iic
