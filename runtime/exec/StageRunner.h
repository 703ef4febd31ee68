// Stages of kernels, one after another, over the threads of a pool.
#pragma once

#include "runtime/exec/KernelLibrary.h"
#include "runtime/exec/ThreadPool.h"

#include <chrono>
#include <memory>
#include <vector>

namespace qlr {

/// A stage of a kernel with its addresses resolved.
struct Stage {
  StageFunction function;
  void *const *args;
  uint32_t items;
  uint32_t chunk; ///< items claimed at a time
};

/// Runs lists of stages. A stage begins when every item of the one before is done: not when every thread has come by,
/// so that a thread whose core was taken away holds nobody up unless it is in the middle of an item.
class StageRunner {
public:
  explicit StageRunner(ThreadPool &pool) : pool(pool) {}

  /// Makes room for lists of up to `stages` stages.
  void reserve(size_t stages);

  /// Runs all stages and returns when they are done. `ends`, when not null, gets the time each was finished,
  /// or a little later.
  void run(const std::vector<Stage> &stages, std::vector<std::chrono::steady_clock::time_point> *ends = nullptr);

private:
  struct alignas(64) Progress {
    std::atomic<uint32_t> next{0}; ///< first item that nobody has claimed
    alignas(64) std::atomic<uint32_t> done{0};
  };

  void await(Progress &progress, uint32_t items);

  ThreadPool &pool;
  std::unique_ptr<Progress[]> progress;
  size_t capacity = 0;
  std::atomic<uint32_t> sleepers{0};
};

} // namespace qlr
