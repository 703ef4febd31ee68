// The scheduler: which GPU thread runs next, which block, and what it means when none can.
#include "runtime/emulator/Checker.h"
#include "runtime/emulator/Collectives.h"
#include "runtime/exec/Futex.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <utility>

namespace qlr::emu {
namespace {

constexpr size_t redZone = 4096;
constexpr size_t residentBlocks = 8; // started before the first of them must be done
constexpr uint32_t idleLimit = 100;  // rounds in which nothing happened: nothing will
// A host thread that waits may be kept from looking again for as long as the machine is busy with other things.
constexpr std::chrono::seconds idleTime{3};

} // namespace

/// Where a fiber begins.
struct FiberEntry {
  static void begin(boost::context::detail::transfer_t from) {
    Hop *hop = static_cast<Hop *>(from.data);
    *hop->from = from.fctx;
    GpuThread &self = *hop->to;
    Block &block = *self.owner->owner;
    Launch &launch = block.worker->launch;
    launch.kernel.entry(&self, launch.params);
    leaveCollectives(self);
    --block.live;
    ++block.exited;
    ++block.progress;
    block.worker->suspend(self); // for good
  }
};

Worker::Worker(Launch &launch, unsigned number)
    : launch(launch), randomState(launch.options.seed * 0x2545f4914f6cdd1dull + number + 1) {}

Worker::~Worker() {
  for (auto *blocks : {&resident, &spare})
    for (const auto &block : *blocks)
      for (uint32_t t = 0; t < launch.threads; ++t)
        if (std::byte *stack = block->threads[t].stack)
          StackPool::shared().give(stack);
}

uint32_t Worker::random(uint32_t below) {
  randomState ^= randomState << 13;
  randomState ^= randomState >> 7;
  randomState ^= randomState << 17;
  return static_cast<uint32_t>((randomState >> 32) % below);
}

inline void Worker::jump(Context &save, GpuThread *to) {
  ++counts.switches;
  Hop hop{&save, to};
  auto from = boost::context::detail::jump_fcontext(to ? to->context : scheduler, &hop);
  *static_cast<Hop *>(from.data)->from = from.fctx;
}

GpuThread *Worker::nextReady(Block &block, uint32_t warpNumber, uint32_t lane) {
  Warp *warp = &block.warps[warpNumber];
  if (uint32_t ready = warp->ready) {
    uint32_t behind = ready & ~((2u << lane) - 1);
    return warp->lanes + std::countr_zero(behind ? behind : ready);
  }
  uint32_t at = warpNumber;
  if (launch.options.seed)
    at = random(block.warpCount);
  for (uint32_t i = 0; i < block.warpCount; ++i) {
    at = at + 1 == block.warpCount ? 0 : at + 1;
    if (uint32_t ready = block.warps[at].ready)
      return block.warps[at].lanes + std::countr_zero(ready);
  }
  return nullptr;
}

GpuThread *Worker::firstReady(Block &block) {
  // Where a thread gave way, another warp's turn has come.
  uint32_t start = launch.options.seed ? random(block.warpCount) : block.gaveWay ? block.lastWarp + 1 : 0;
  for (uint32_t i = 0; i < block.warpCount; ++i) {
    Warp &warp = block.warps[(start + i) % block.warpCount];
    if (warp.ready)
      return warp.lanes + std::countr_zero(warp.ready);
  }
  return nullptr;
}

void Worker::suspend(GpuThread &self) { jump(self.context, nextReady(*self.owner->owner, self.warp, self.lane)); }

void Worker::giveWay(GpuThread &self) {
  self.owner->owner->gaveWay = true;
  self.owner->owner->lastWarp = self.warp;
  jump(self.context, nullptr);
}

void Worker::maybeGiveWay(GpuThread &self) {
  if (launch.options.seed && random(4) == 0)
    giveWay(self);
}

void Worker::abandon(GpuThread &self) {
  Hop hop{&self.context, nullptr};
  boost::context::detail::jump_fcontext(scheduler, &hop);
  std::abort(); // nobody comes back here
}

Block *Worker::startBlock() {
  int64_t number = launch.nextBlock();
  if (number < 0)
    return nullptr;
  std::unique_ptr<Block> block;
  if (spare.empty()) {
    block = std::make_unique<Block>();
    block->worker = this;
    block->warpCount = (launch.threads + 31) / 32;
    block->threads = std::make_unique<GpuThread[]>(launch.threads);
    block->warps = std::make_unique<Warp[]>(block->warpCount);
    block->sharedArena.resize(launch.sharedBytes + 2 * redZone + 256);
    uint64_t base = reinterpret_cast<uintptr_t>(block->sharedArena.data()) + redZone;
    block->shared = block->sharedArena.data() + redZone + (256 - base % 256);
    if (launch.checks)
      block->sharedShadow = ShadowBytes(launch.sharedBytes);
    for (uint32_t t = 0; t < launch.threads; ++t)
      block->threads[t].stack = StackPool::shared().take();
  } else {
    block = std::move(spare.back());
    spare.pop_back();
  }
  block->number = static_cast<uint32_t>(number);
  block->live = launch.threads;
  block->exited = block->waitingAtBarriers = block->idleRounds = 0;
  block->progress = 0;
  block->gaveWay = block->mayWait = false;
  block->barriers = {};
  // What nobody has written is NaN, or -1: it shows in results where it is not reported.
  std::memset(block->shared, 0xff, launch.sharedBytes);
  for (uint32_t w = 0; w < block->warpCount; ++w) {
    Warp &warp = block->warps[w];
    warp.owner = block.get();
    warp.lanes = &block->threads[w * 32];
    warp.number = w;
    uint32_t lanes = std::min(32u, launch.threads - w * 32);
    warp.present = warp.ready = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warp.polling = warp.done = warp.slotCount = 0;
  }
  for (uint32_t t = 0; t < launch.threads; ++t) {
    GpuThread &thread = block->threads[t];
    static_cast<EmulatorThread &>(thread) = {t,      launch.threads, block->number, launch.grid,
                                             t % 32, t / 32,         block->shared};
    thread.context = boost::context::detail::make_fcontext(thread.stack, StackPool::bytes, FiberEntry::begin);
    thread.owner = &block->warps[t / 32];
    thread.foreign = thread.fenced = thread.seen = nullptr;
    thread.acquiredFrom = thread.polled = nullptr;
    thread.copies.clear();
    thread.groups.clear();
  }
  startNotes(*block);
  resident.push_back(std::move(block));
  return resident.back().get();
}

void Worker::finish(Block &block) {
  auto place = std::find_if(resident.begin(), resident.end(), [&](const auto &one) { return one.get() == &block; });
  spare.push_back(std::move(*place));
  resident.erase(place);
}

/// Runs `block` until it has finished, waits for another one, or gives way. A block that can do none of it is stuck.
void Worker::resume(Block &block) {
  for (uint32_t w = 0; w < block.warpCount; ++w) {
    block.warps[w].ready |= block.warps[w].polling;
    block.warps[w].polling = 0;
  }
  uint64_t before = block.progress;
  GpuThread *next = firstReady(block);
  block.gaveWay = false;
  if (!next)
    return reportStuck(block);
  jump(scheduler, next);
  if (launch.failed.load(std::memory_order_relaxed))
    return;
  if (block.progress != before) {
    for (const auto &one : resident)
      one->idleRounds = 0;
    launch.progress.fetch_add(1, std::memory_order_relaxed);
  } else if (!block.gaveWay) {
    ++block.idleRounds;
  }
  if (block.live == 0)
    return finish(block);
  for (uint32_t w = 0; w < block.warpCount; ++w)
    if (block.warps[w].ready | block.warps[w].polling)
      return;
  reportStuck(block);
}

bool Worker::allIdle() const {
  return std::all_of(resident.begin(), resident.end(), [](const auto &one) { return one->idleRounds > 1; });
}

Block *Worker::choose() {
  size_t count = resident.size();
  if (launch.blocksLeft()) {
    bool start = count == 0 || allIdle();
    for (const auto &block : resident)
      start |= std::exchange(block->mayWait, false);
    if (launch.options.seed)
      start |= count < residentBlocks && random(static_cast<uint32_t>(count) + 1) == 0;
    if (start)
      if (Block *block = startBlock())
        return block;
  }
  if (resident.empty())
    return nullptr;
  turn = launch.options.seed ? random(static_cast<uint32_t>(resident.size())) : turn + 1;
  return resident[turn % resident.size()].get();
}

void Worker::run() {
  uint64_t seen = 0;
  uint32_t rounds = 0;
  std::chrono::steady_clock::time_point since;
  while (!launch.failed.load(std::memory_order_acquire)) {
    Block *block = choose();
    if (!block)
      break;
    resume(*block);
    bool nothing =
        !resident.empty() && !launch.blocksLeft() &&
        std::all_of(resident.begin(), resident.end(), [](const auto &one) { return one->idleRounds > idleLimit; });
    if (nothing != idle) {
      idle = nothing;
      launch.busy.fetch_add(idle ? -1u : 1u);
      rounds = 0;
    }
    if (!idle)
      continue;
    // The others may yet do what these blocks wait for.
    if (uint64_t now = launch.progress.load(); now != seen || launch.busy.load() != 0) {
      seen = now;
      rounds = 0;
    }
    if (rounds == 0)
      since = std::chrono::steady_clock::now();
    // With several host threads another's last look may be older than what it waits for.
    if (++rounds > idleLimit * resident.size()) {
      if (launch.options.hostThreads == 1 || std::chrono::steady_clock::now() - since > idleTime)
        return reportDeadlock();
    }
    if (launch.options.hostThreads > 1)
      yieldCore();
  }
  if (!idle)
    launch.busy.fetch_sub(1);
}

void Worker::reportDeadlock() {
  for (const auto &block : resident)
    for (uint32_t w = 0; w < block->warpCount; ++w)
      if (uint32_t lanes = block->warps[w].polling | block->warps[w].ready) {
        const GpuThread &thread = block->warps[w].lanes[std::countr_zero(lanes)];
        return launch.setFault(whereOf(thread) + "deadlock: waits at '" + launch.site(thread.waitSite) +
                               "' for another block, and no block goes on");
      }
}

/// No thread of the block can go on, and none waits for another block.
void Worker::reportStuck(Block &block) {
  std::string report = describeStuck(block);
  launch.setFault(report);
}

} // namespace qlr::emu
