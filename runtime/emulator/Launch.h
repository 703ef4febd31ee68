// One launch: what its host threads share, and each of them.
#pragma once

#include "runtime/emulator/Block.h"
#include "runtime/emulator/Registry.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

namespace qlr::emu {

/// A variable that atomics work on: what was released through it.
struct SyncVariable {
  Knowledge released;
  uint64_t version = 0;
};

/// What may be accessed through a pointer parameter; no bytes where the parameter points to no buffer.
struct ParameterRange {
  uint64_t begin = 0, bytes = 0;
  EmulatorMemory::Registry::Buffer *buffer = nullptr;
};

/// What an epoch of global memory stands for.
struct Chunk {
  uint32_t block, clock;
};

class Launch {
public:
  Launch(EmulatorMemory::Registry &registry, const EmulatorKernel &kernel, uint32_t grid, uint32_t threads,
         uint64_t sharedBytes, void *const *params, const LaunchOptions &options);

  /// Runs it; throws Error with the report of a fault.
  LaunchCounts run();

  EmulatorMemory::Registry &registry;
  const EmulatorKernel &kernel;
  const uint32_t grid, threads;
  const uint64_t sharedBytes;
  void *const *const params;
  const LaunchOptions options;
  const bool checks; // of memory

  std::vector<ParameterRange> ranges; // by parameter

  /// A number for the accesses of `block` from `clock` on.
  uint32_t newEpoch(uint32_t block, uint32_t clock);
  const Chunk &chunk(uint32_t epoch) const { return chunks[epoch - firstEpoch]; }
  uint32_t firstEpoch = 1; // of this launch

  /// Blocks in the order in which they start; -1 when all have.
  int64_t nextBlock();
  bool blocksLeft() const { return started.load(std::memory_order_relaxed) < grid; }

  std::mutex atomics; // held during an atomic operation: its ordering notes are part of it
  std::unordered_map<uint64_t, SyncVariable> variables;

  /// The first fault's report wins.
  void setFault(const std::string &report);
  std::atomic<bool> failed{false};

  // Deadlock is when every host thread finds nothing but blocks that wait.
  std::atomic<uint64_t> progress{0};
  std::atomic<unsigned> busy{0};

  /// The text of an operation of the kernel.
  std::string site(uint32_t number) const;

private:
  std::vector<uint32_t> blockOrder;
  std::atomic<uint32_t> started{0};
  std::unique_ptr<Chunk[]> chunks;
  std::atomic<uint32_t> epochs{0};
  std::mutex faultLock;
  std::string fault;
};

/// A host thread's part of a launch.
class Worker {
public:
  Worker(Launch &launch, unsigned number);
  ~Worker();

  /// Runs blocks until none is left or the launch failed.
  void run();

  /// Called by a GPU thread that has taken itself out of its warp's ready lanes: runs others and returns when this one
  /// can go on.
  void suspend(GpuThread &self);
  /// Gives the host thread back to other blocks; `self` stays ready.
  void giveWay(GpuThread &self);
  /// In a random order, sometimes gives way.
  void maybeGiveWay(GpuThread &self);
  /// Ends the launch with a report and leaves for good. Whoever calls it holds nothing that needs a destructor.
  [[noreturn]] void abandon(GpuThread &self);

  /// One of this host thread's blocks has found what it waited for, and may now run for long: it is no longer among
  /// those that only wait.
  void wake() {
    if (std::exchange(idle, false))
      launch.busy.fetch_add(1);
  }

  Launch &launch;
  LaunchCounts counts;
  uint64_t accessesBefore = 0; ///< counts.accesses when a thread last gave way for having made many
  EmulatorMemory::Registry::Buffer *lastBuffer = nullptr;

private:
  friend struct FiberEntry;
  Block *startBlock();
  void finish(Block &block);
  void resume(Block &block);
  GpuThread *nextReady(Block &block, uint32_t afterWarp, uint32_t afterLane);
  GpuThread *firstReady(Block &block);
  void jump(Context &save, GpuThread *to);
  Block *choose();
  bool allIdle() const;
  bool otherWorkersIdle();
  void reportStuck(Block &block);
  void reportDeadlock();
  uint32_t random(uint32_t below);

  std::vector<std::unique_ptr<Block>> resident, spare;
  size_t turn = 0;
  bool idle = false; // all resident blocks wait; not counted in launch.busy
  uint64_t randomState;
  Context scheduler = nullptr;
};

/// "kernel k, block 1, thread 33: ".
std::string whereOf(const GpuThread &thread);

} // namespace qlr::emu
