// Lanes of a warp arrive at a collective one by one; the last one computes it for all.
#include "runtime/emulator/Collectives.h"

#include "runtime/emulator/Checker.h"

#include <bit>
#include <cstdio>

namespace qlr::emu {
namespace {

GpuThread &of(EmulatorThread *thread) { return *static_cast<GpuThread *>(thread); }

std::string hex(uint32_t mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

/// Executed by all lanes at one place of the program.
constexpr bool isAligned(EmulatorOp op) {
  return op == EmulatorOp::MmaF16 || op == EmulatorOp::MmaBf16 || op == EmulatorOp::MmaInt8 ||
         op == EmulatorOp::LoadMatrix;
}

constexpr bool isBlockBarrier(EmulatorOp op) { return op >= EmulatorOp::Barrier && op <= EmulatorOp::BarrierArrive; }

[[noreturn]] void reportMask(GpuThread &thread, uint32_t mask, uint32_t site, const char *what, uint32_t lanes) {
  Worker &worker = *thread.owner->owner->worker;
  worker.launch.setFault(whereOf(thread) + "'" + worker.launch.site(site) + "' with lanes " + hex(mask) + what +
                         (lanes ? " (" + hex(lanes) + ")" : std::string()));
  worker.abandon(thread);
}

void compute(Warp &warp, EmulatorOp op, uint32_t mask, uint32_t site) {
  switch (op) {
  case EmulatorOp::WarpBarrier:
    return meetLanes(warp, mask);
  case EmulatorOp::ShuffleIdx:
  case EmulatorOp::ShuffleUp:
  case EmulatorOp::ShuffleDown:
  case EmulatorOp::ShuffleBfly:
    return computeShuffle(warp, op, mask, site);
  case EmulatorOp::VoteAny:
  case EmulatorOp::VoteAll:
  case EmulatorOp::VoteUni:
  case EmulatorOp::VoteBallot:
  case EmulatorOp::MatchAny:
    return computeVote(warp, op, mask);
  case EmulatorOp::MmaF16:
  case EmulatorOp::MmaBf16:
  case EmulatorOp::MmaInt8:
    return computeMma(op, warp.in.data(), warp.out.data());
  case EmulatorOp::LoadMatrix:
    return computeLoadMatrix(warp, site);
  default:
    return computeRedux(warp, op, mask);
  }
}

template <EmulatorOp op> void warpCollective(EmulatorThread *handle, uint32_t *out, const uint32_t *in, uint32_t site) {
  GpuThread &self = of(handle);
  Warp &warp = *self.owner;
  const uint32_t lane = 1u << self.lane;
  uint32_t mask = isAligned(op) ? ~0u : in[0];
  if (!(mask & lane))
    reportMask(self, mask, site, " is executed by a lane that is not among them", lane);
  if (mask & warp.done)
    reportMask(self, mask, site, " waits for lanes that have exited", mask & warp.done);
  // A full mask is right in a warp that is not full, but for what needs all lanes.
  if (isAligned(op) && warp.present != ~0u)
    reportMask(self, mask, site, " is executed by a warp of fewer lanes", warp.present);
  mask &= warp.present;
  warp.in[self.lane] = in;
  warp.out[self.lane] = out;
  uint32_t number = 0;
  for (; number < warp.slotCount; ++number) {
    const Slot &slot = warp.slots[number];
    if (slot.op == op && slot.mask == mask && !(slot.arrived & lane) && (!isAligned(op) || slot.site == site))
      break;
  }
  if (number == warp.slotCount)
    warp.slots[warp.slotCount++] = {op, mask, 0, site};
  Slot &slot = warp.slots[number];
  slot.arrived |= lane;
  if (slot.arrived == mask) {
    slot = warp.slots[--warp.slotCount];
    ++warp.owner->worker->counts.collectives;
    compute(warp, op, mask, site);
    warp.ready |= mask;
    return;
  }
  self.waitSite = site;
  warp.ready &= ~lane;
  warp.owner->worker->suspend(self);
}

/// Everybody has arrived at `barrier`.
void completeBarrier(GpuThread &self, NamedBarrier &barrier, uint32_t site) {
  Block &block = *self.owner->owner;
  std::array<uint32_t, 32> lanes{};
  uint32_t *result = nullptr;
  uint32_t all = 0;
  for (uint32_t w = 0; w < block.warpCount; ++w) {
    Warp &warp = block.warps[w];
    lanes[w] = barrier.lanes[w] | barrier.passed[w];
    if (lanes[w] && lanes[w] != warp.present) {
      block.worker->launch.setFault(whereOf(warp.lanes[std::countr_zero(warp.present & ~lanes[w])]) +
                                    "barrier divergence: only lanes " + hex(lanes[w]) + " of warp " +
                                    std::to_string(w) + " have come to '" + block.worker->launch.site(site) + "'");
      block.worker->abandon(self);
    }
    all += static_cast<uint32_t>(std::popcount(lanes[w]));
  }
  ++block.worker->counts.collectives;
  if (all == block.worker->launch.threads)
    meetBlock(block);
  else
    meetWarps(block, lanes);
  uint32_t reduced = barrier.op == EmulatorOp::BarrierPopc  ? barrier.accumulated
                     : barrier.op == EmulatorOp::BarrierAnd ? barrier.accumulated == barrier.arrived
                                                            : barrier.accumulated != 0;
  for (uint32_t w = 0; w < block.warpCount; ++w) {
    Warp &warp = block.warps[w];
    if (barrier.op != EmulatorOp::Barrier && barrier.op != EmulatorOp::BarrierArrive)
      for (uint32_t left = barrier.lanes[w]; left; left &= left - 1)
        if ((result = warp.out[std::countr_zero(left)]))
          result[0] = reduced;
    warp.ready |= barrier.lanes[w];
    block.waitingAtBarriers -= static_cast<uint32_t>(std::popcount(barrier.lanes[w]));
  }
  barrier = {};
}

/// Notes the report; the caller leaves the thread when its own strings are gone.
void noteBarrier(GpuThread &self, uint32_t site, const std::string &what) {
  Worker &worker = *self.owner->owner->worker;
  worker.launch.setFault(whereOf(self) + "barrier divergence at '" + worker.launch.site(site) + "': " + what);
}

template <EmulatorOp op> void blockBarrier(EmulatorThread *handle, uint32_t *out, const uint32_t *in, uint32_t site) {
  GpuThread &self = of(handle);
  Warp &warp = *self.owner;
  Block &block = *warp.owner;
  const uint32_t lane = 1u << self.lane, id = in[0];
  uint32_t count = in[1];
  if (id >= block.barriers.size()) {
    noteBarrier(self, site, "there is no barrier " + std::to_string(id));
    block.worker->abandon(self);
  }
  if (count % 32 != 0 || count > (self.threads + 31) / 32 * 32) {
    noteBarrier(self, site, std::to_string(count) + " threads are no whole warps of this block");
    block.worker->abandon(self);
  }
  if (count == 0) {
    if (block.exited) {
      noteBarrier(self, site, std::to_string(block.exited) + " threads of the block have exited and cannot come");
      block.worker->abandon(self);
    }
    count = self.threads;
  }
  if (count > self.threads)
    count = self.threads;
  NamedBarrier &barrier = block.barriers[id];
  if (barrier.arrived == 0) {
    barrier.op = op;
    barrier.expected = count;
    barrier.site = site;
  } else if (barrier.op == EmulatorOp::BarrierArrive) {
    barrier.op = op;
  }
  if (barrier.expected != count) {
    noteBarrier(self, site,
                "for " + std::to_string(count) + " threads, but others wait at barrier " + std::to_string(id) +
                    " for " + std::to_string(barrier.expected));
    block.worker->abandon(self);
  }
  uint32_t before = barrier.lanes[self.warp] | barrier.passed[self.warp];
  if (before && warp.barrierSite != site) {
    noteBarrier(self, site,
                "other lanes of the warp have come to '" + block.worker->launch.site(warp.barrierSite) + "'");
    block.worker->abandon(self);
  }
  if (before & lane) {
    noteBarrier(self, site, "this lane has come here before the others of its warp came once");
    block.worker->abandon(self);
  }
  warp.barrierSite = site;
  ++barrier.arrived;
  if (op == EmulatorOp::BarrierAnd || op == EmulatorOp::BarrierOr || op == EmulatorOp::BarrierPopc)
    barrier.accumulated += in[2] != 0;
  warp.out[self.lane] = out;
  if (op == EmulatorOp::BarrierArrive) {
    barrier.passed[self.warp] |= lane;
    if (barrier.arrived == barrier.expected)
      completeBarrier(self, barrier, site);
    return;
  }
  barrier.lanes[self.warp] |= lane;
  ++block.waitingAtBarriers;
  if (barrier.arrived == barrier.expected) {
    completeBarrier(self, barrier, site);
    block.worker->maybeGiveWay(self);
    return;
  }
  self.waitSite = site;
  warp.ready &= ~lane;
  block.worker->suspend(self);
}

template <EmulatorOp op> constexpr CollectiveFunction implementation() {
  if constexpr (isBlockBarrier(op))
    return blockBarrier<op>;
  else
    return warpCollective<op>;
}

} // namespace

CollectiveFunction collectiveFunction(EmulatorOp op) {
  switch (op) {
#define QLR_CASE(NAME)                                                                                                 \
  case EmulatorOp::NAME:                                                                                               \
    return implementation<EmulatorOp::NAME>();
    QLR_EMULATOR_COLLECTIVES(QLR_CASE)
#undef QLR_CASE
  default:
    return nullptr;
  }
}

void leaveCollectives(GpuThread &self) {
  Warp &warp = *self.owner;
  Block &block = *warp.owner;
  const uint32_t lane = 1u << self.lane;
  for (uint32_t i = 0; i < warp.slotCount; ++i)
    if (const Slot &slot = warp.slots[i]; slot.mask & lane)
      reportMask(warp.lanes[std::countr_zero(slot.arrived)], slot.mask, slot.site, " waits for lanes that have exited",
                 lane);
  if (block.waitingAtBarriers)
    for (const NamedBarrier &barrier : block.barriers)
      if (barrier.arrived && barrier.expected == self.threads) {
        noteBarrier(self, barrier.site, "this thread exits while others wait there");
        block.worker->abandon(self);
      }
  warp.ready &= ~lane;
  warp.done |= lane;
}

std::string describeStuck(const Block &block) {
  const Launch &launch = block.worker->launch;
  for (uint32_t w = 0; w < block.warpCount; ++w) {
    const Warp &warp = block.warps[w];
    for (uint32_t i = 0; i < warp.slotCount; ++i) {
      const Slot &slot = warp.slots[i];
      const GpuThread &missing = warp.lanes[std::countr_zero(slot.mask & ~slot.arrived)];
      return whereOf(warp.lanes[std::countr_zero(slot.arrived)]) + "deadlock: '" + launch.site(slot.site) +
             "' waits for lanes " + hex(slot.mask & ~slot.arrived) + " of warp " + std::to_string(w) +
             ", of which thread " + std::to_string(missing.tid) + " is at '" + launch.site(missing.waitSite) + "'";
    }
  }
  for (uint32_t id = 0; id < block.barriers.size(); ++id) {
    const NamedBarrier &barrier = block.barriers[id];
    for (uint32_t w = 0; barrier.arrived && w < block.warpCount; ++w) {
      if (!barrier.lanes[w])
        continue;
      const GpuThread &waits = block.warps[w].lanes[std::countr_zero(barrier.lanes[w])];
      std::string others;
      for (uint32_t v = 0; v < block.warpCount && others.empty(); ++v)
        if (uint32_t missing = block.warps[v].present & ~block.warps[v].done & ~barrier.lanes[v] & ~barrier.passed[v]) {
          const GpuThread &thread = block.warps[v].lanes[std::countr_zero(missing)];
          others = "; thread " + std::to_string(thread.tid) + " is at '" + launch.site(thread.waitSite) + "'";
        }
      return whereOf(waits) + "barrier divergence at '" + launch.site(barrier.site) +
             "': " + std::to_string(barrier.arrived) + " of " + std::to_string(barrier.expected) +
             " threads came to barrier " + std::to_string(id) + others;
    }
  }
  return "kernel " + std::string(launch.kernel.name) + ", block " + std::to_string(block.number) +
         ": deadlock: no thread can go on";
}

} // namespace qlr::emu
