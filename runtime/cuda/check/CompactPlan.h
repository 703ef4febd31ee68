// A plan cut down to less weights, so that kernels of a large model can be timed on any card.
#pragma once

#include "runtime/format/Plan.h"

#include <cstdint>
#include <vector>

namespace qlr::cuda {

/// `plan` with another weights arena: only so many layers' weights are kept that every kernel has `coldBytes` of
/// different weights to go through, or all that it has, and no more than `budget` in all where that suffices for one
/// launch of each. Steps whose weights were left out read those of another launch of the same kernel, in turn: all
/// launches are there, with their shapes, and none finds its weights in a cache that `coldBytes` overflows.
Plan compactPlan(const Plan &plan, uint64_t coldBytes, uint64_t budget);

} // namespace qlr::cuda
