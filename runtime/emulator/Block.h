// The state of a launch while it runs: threads in warps in blocks on a host thread.
#pragma once

#include "runtime/emulator/Fiber.h"
#include "runtime/emulator/Shadow.h"
#include "runtime/format/EmulatorAbi.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace qlr::emu {

struct Block;
struct Warp;
class Worker;

/// What somebody knows of every thread of the grid: accesses of thread [block * threads + tid] with a clock below this
/// happened before. Never changed once made.
using Knowledge = std::shared_ptr<const std::vector<uint32_t>>;

/// A copy that cp.async started.
struct PendingCopy {
  std::byte *to;
  const std::byte *from;
  uint32_t bytes, read; // what is not read is zero
  uint32_t site;
};

struct GpuThread : EmulatorThread {
  Context context = nullptr;
  Warp *owner = nullptr;
  std::byte *stack = nullptr;

  // The checker's. A clock is the number of the last synchronization of the block that this thread took part in.
  uint32_t clock = 0;
  uint32_t sharedTag = 0, globalTag = 0;
  Knowledge foreign;                  // null: the block's
  Knowledge fenced;                   // what a release fence has published for relaxed atomics to come
  Knowledge seen;                     // what relaxed loads have seen, for an acquire fence to come
  const void *acquiredFrom = nullptr; // the last variable acquired from, and its version
  uint64_t acquiredVersion = 0;

  // cp.async: copies under way, oldest first, and how many of them belong to each committed group.
  std::vector<PendingCopy> copies;
  std::vector<uint32_t> groups;

  // The last acquire of a spin loop.
  const void *polled = nullptr;
  uint64_t polledValue = 0;

  uint32_t waitSite = 0; // while it waits
};

/// A collective of a warp that some lanes have reached.
struct Slot {
  EmulatorOp op;
  uint32_t mask, arrived, site;
};

struct Warp {
  Block *owner = nullptr;
  GpuThread *lanes = nullptr;
  uint32_t number = 0;
  uint32_t present = 0; // lanes that exist
  uint32_t ready = 0;   // lanes that can go on
  uint32_t polling = 0; // lanes that wait for another block
  uint32_t done = 0;
  uint32_t barrierSite = 0;
  std::array<const uint32_t *, 32> in;
  std::array<uint32_t *, 32> out;
  uint32_t slotCount = 0;
  std::array<Slot, 32> slots;

  // The checker's.
  uint32_t synced = 0; // clock of the last synchronization of all lanes
  uint32_t chunk = 0;  // of that clock
  bool partialSync = false;
  std::array<std::array<uint32_t, 32>, 32> laneKnown; // [who][of whom], valid if partialSync
};

struct NamedBarrier {
  EmulatorOp op = EmulatorOp::Barrier;
  uint32_t expected = 0, arrived = 0, accumulated = 0, site = 0;
  std::array<uint32_t, 32> lanes{};  // that wait, by warp
  std::array<uint32_t, 32> passed{}; // that arrived without waiting
};

/// One block while it is resident.
struct Block {
  Worker *worker = nullptr;
  uint32_t number = 0;
  uint32_t warpCount = 0;
  uint32_t live = 0; // threads that have not exited
  uint32_t exited = 0;
  uint32_t waitingAtBarriers = 0;
  uint64_t progress = 0;   // counts what other blocks may wait for
  uint32_t idleRounds = 0; // turns in a row that made none
  bool gaveWay = false;    // the last turn ended before it had to,
  bool mayWait = false;    // for long it has done nothing but access memory: maybe it waits for another block
  uint32_t lastWarp = 0;   // in this warp
  std::unique_ptr<GpuThread[]> threads;
  std::unique_ptr<Warp[]> warps;
  std::array<NamedBarrier, 16> barriers;
  std::vector<std::byte> sharedArena;
  std::byte *shared = nullptr;

  // The checker's.
  uint32_t clock = 0; // of the last synchronization of any threads
  uint32_t base = 0;  // of the last barrier of the whole block
  Knowledge foreign;
  bool ownForeign = false; // some thread knows more than the block
  ShadowBytes sharedShadow;
  bool partialBarrier = false;
  std::array<std::array<uint32_t, 32>, 32> warpKnown; // [who][of whom], valid if partialBarrier
};

} // namespace qlr::emu
