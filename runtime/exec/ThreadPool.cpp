#include "runtime/exec/ThreadPool.h"

#include "runtime/exec/Futex.h"

#include <algorithm>

namespace qlr {
void Barrier::release() {
  // The sequentially consistent pair (generation, sleepers) here and in wait(): either we see the sleeper and wake it,
  // or it sees the new generation and does not sleep.
  generation.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) != 0)
    futexWakeAll(generation);
}

void Barrier::wait(uint32_t seen) {
  if (spinUntil([&] { return generation.load(std::memory_order_acquire) != seen; }))
    return;
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (generation.load(std::memory_order_seq_cst) == seen)
    futexWait(generation, seen);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
}

ThreadPool::ThreadPool(unsigned threads) : count(std::max(1u, threads)), startBarrier(count), endBarrier(count) {
  for (unsigned thread = 1; thread < count; ++thread)
    workers.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stopping = true;
  startBarrier.arrive();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::work(unsigned thread) {
  while (true) {
    startBarrier.arrive();
    if (stopping)
      return;
    (*job)(thread);
    endBarrier.arrive();
  }
}

void ThreadPool::run(const std::function<void(unsigned)> &newJob) {
  job = &newJob;
  startBarrier.arrive();
  newJob(0);
  endBarrier.arrive();
}

void ThreadPool::parallelFor(uint64_t items, uint64_t grain, const std::function<void(uint64_t, uint64_t)> &body) {
  grain = std::max<uint64_t>(1, grain);
  if (items == 0)
    return;
  std::atomic<uint64_t> next{0};
  run([&](unsigned) {
    for (uint64_t begin; (begin = next.fetch_add(grain, std::memory_order_relaxed)) < items;)
      body(begin, std::min(items, begin + grain));
  });
}

} // namespace qlr
