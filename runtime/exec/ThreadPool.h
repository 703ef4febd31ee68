// Persistent threads that are started and stopped without the kernel in between.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace qlr {

/// A barrier for a fixed number of threads that can be used again and again. Waiters spin for a short time, then give
/// their core away between looks, then sleep in the kernel: on a machine whose cores are shared the last thread to
/// arrive may be one that is not running.
class Barrier {
public:
  explicit Barrier(unsigned threads) : threads(threads) {}

  /// Blocks until every thread has arrived; what each wrote before is seen by all of them afterwards.
  void arrive() {
    if (threads == 1)
      return;
    uint32_t seen = generation.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
      arrived.store(0, std::memory_order_relaxed);
      release();
      return;
    }
    wait(seen);
  }

private:
  void release();
  void wait(uint32_t seen);

  const unsigned threads;
  alignas(64) std::atomic<uint32_t> arrived{0};
  alignas(64) std::atomic<uint32_t> generation{0};
  std::atomic<uint32_t> sleepers{0};
};

/// `threads` threads, the caller of run() being the first of them. Between runs the others sleep.
class ThreadPool {
public:
  explicit ThreadPool(unsigned threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  unsigned size() const { return count; }

  /// Calls `job(thread)` on every thread and returns when all have finished. Jobs must not throw; call from one thread
  /// at a time.
  void run(const std::function<void(unsigned)> &job);

  /// Calls `body(begin, end)` for pieces of [0, items) of about `grain`, each claimed by the next free thread.
  void parallelFor(uint64_t items, uint64_t grain, const std::function<void(uint64_t, uint64_t)> &body);

private:
  void work(unsigned thread);

  const unsigned count;
  const std::function<void(unsigned)> *job = nullptr;
  bool stopping = false;
  Barrier startBarrier, endBarrier;
  std::vector<std::thread> workers;
};

} // namespace qlr
