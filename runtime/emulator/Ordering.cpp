// What happened before what: barriers inside a block, release and acquire between blocks.
#include "runtime/emulator/Checker.h"

#include <algorithm>
#include <bit>

namespace qlr::emu {
namespace {

/// A new clock of the block with its number in global memory.
struct Moment {
  uint32_t clock, epoch;
};

Moment nextMoment(Block &block) {
  Launch &launch = block.worker->launch;
  if (++block.clock > tag::maxEpoch) {
    launch.setFault("kernel " + std::string(launch.kernel.name) + ": a block synchronizes more than " +
                    std::to_string(tag::maxEpoch) + " times, which is more than the checker can tell apart; use " +
                    "smaller shapes or no checks");
    block.clock = tag::maxEpoch;
  }
  return {block.clock, launch.newEpoch(block.number, block.clock)};
}

void give(GpuThread &thread, Moment moment) {
  thread.clock = moment.clock;
  thread.sharedTag = tag::make(moment.clock, thread.tid);
  thread.globalTag = tag::make(moment.epoch, thread.tid);
}

const Knowledge &foreignOf(const GpuThread &thread) {
  return thread.foreign ? thread.foreign : thread.owner->owner->foreign;
}

/// Everybody of `lanes` (by warp) knows what one of them knew of other blocks.
void shareForeign(Block &block, const std::array<uint32_t, 32> &lanes) {
  if (!block.ownForeign)
    return;
  Knowledge all;
  for (uint32_t w = 0; w < block.warpCount; ++w)
    for (uint32_t left = lanes[w]; left; left &= left - 1)
      if (const Knowledge &one = block.warps[w].lanes[std::countr_zero(left)].foreign; one && one != all)
        all = join(all, one);
  if (!all)
    return;
  for (uint32_t w = 0; w < block.warpCount; ++w)
    for (uint32_t left = lanes[w]; left; left &= left - 1)
      block.warps[w].lanes[std::countr_zero(left)].foreign = all;
}

} // namespace

Knowledge join(const Knowledge &a, const Knowledge &b) {
  if (!a || a == b)
    return b;
  if (!b)
    return a;
  auto result = std::make_shared<std::vector<uint32_t>>(*a);
  for (size_t i = 0; i < result->size(); ++i)
    (*result)[i] = std::max((*result)[i], (*b)[i]);
  return result;
}

void startNotes(Block &block) {
  block.clock = 0;
  block.foreign = nullptr;
  block.ownForeign = false;
  block.partialBarrier = false;
  for (uint32_t w = 0; w < block.warpCount; ++w) {
    block.warps[w].synced = 0;
    block.warps[w].partialSync = false;
  }
  if (block.worker->launch.checks) {
    block.sharedShadow.clear();
    meetBlock(block);
  }
}

void meetBlock(Block &block) {
  Launch &launch = block.worker->launch;
  if (!launch.checks)
    return;
  Moment moment = nextMoment(block);
  block.base = moment.clock;
  for (uint32_t t = 0; t < launch.threads; ++t)
    give(block.threads[t], moment);
  if (!block.ownForeign)
    return;
  for (uint32_t t = 0; t < launch.threads; ++t)
    if (Knowledge &one = block.threads[t].foreign; one) {
      if (one != block.foreign)
        block.foreign = join(block.foreign, one);
      one = nullptr;
    }
  block.ownForeign = false;
}

void meetWarps(Block &block, const std::array<uint32_t, 32> &lanes) {
  if (!block.worker->launch.checks)
    return;
  Moment moment = nextMoment(block);
  if (!block.partialBarrier)
    for (auto &row : block.warpKnown)
      row.fill(0);
  block.partialBarrier = true;
  std::array<uint32_t, 32> known{};
  for (uint32_t w = 0; w < block.warpCount; ++w)
    if (lanes[w])
      for (uint32_t of = 0; of < block.warpCount; ++of)
        known[of] = std::max(known[of], block.warpKnown[w][of]);
  for (uint32_t w = 0; w < block.warpCount; ++w)
    if (lanes[w])
      known[w] = moment.clock;
  for (uint32_t w = 0; w < block.warpCount; ++w) {
    if (!lanes[w])
      continue;
    block.warpKnown[w] = known;
    block.warps[w].synced = moment.clock;
    for (uint32_t left = lanes[w]; left; left &= left - 1)
      give(block.warps[w].lanes[std::countr_zero(left)], moment);
  }
  shareForeign(block, lanes);
}

void meetLanes(Warp &warp, uint32_t lanes) {
  Block &block = *warp.owner;
  if (!block.worker->launch.checks)
    return;
  Moment moment = nextMoment(block);
  if (lanes == warp.present) {
    warp.synced = moment.clock;
  } else {
    if (!warp.partialSync)
      for (auto &row : warp.laneKnown)
        row.fill(0);
    warp.partialSync = true;
    std::array<uint32_t, 32> known{};
    for (uint32_t left = lanes; left; left &= left - 1)
      for (uint32_t of = 0; of < 32; ++of)
        known[of] = std::max(known[of], warp.laneKnown[std::countr_zero(left)][of]);
    for (uint32_t left = lanes; left; left &= left - 1)
      known[std::countr_zero(left)] = moment.clock;
    for (uint32_t left = lanes; left; left &= left - 1)
      warp.laneKnown[std::countr_zero(left)] = known;
  }
  for (uint32_t left = lanes; left; left &= left - 1)
    give(warp.lanes[std::countr_zero(left)], moment);
  std::array<uint32_t, 32> byWarp{};
  byWarp[warp.number] = lanes;
  shareForeign(block, byWarp);
}

Knowledge release(GpuThread &thread) {
  Warp &warp = *thread.owner;
  Block &block = *warp.owner;
  Launch &launch = block.worker->launch;
  const Knowledge &foreign = foreignOf(thread);
  auto result = foreign ? std::make_shared<std::vector<uint32_t>>(*foreign)
                        : std::make_shared<std::vector<uint32_t>>(uint64_t(launch.grid) * launch.threads);
  uint32_t *own = result->data() + uint64_t(block.number) * launch.threads;
  for (uint32_t t = 0; t < launch.threads; ++t) {
    uint32_t known = block.base;
    if (t / 32 == thread.warp) {
      known = std::max(known, warp.synced);
      if (warp.partialSync)
        known = std::max(known, warp.laneKnown[thread.lane][t % 32]);
    } else if (block.partialBarrier) {
      known = std::max(known, block.warpKnown[thread.warp][t / 32]);
    }
    own[t] = std::max(own[t], known);
  }
  own[thread.tid] = thread.clock + 1;
  give(thread, nextMoment(block));
  return result;
}

void acquire(GpuThread &thread, const Knowledge &what) {
  if (!what)
    return;
  thread.foreign = join(foreignOf(thread), what);
  thread.owner->owner->ownForeign = true;
}

} // namespace qlr::emu
