#include "runtime/exec/ThreadPool.h"
#include "runtime/exec/StageRunner.h"

#include <array>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace qlr;

namespace {

TEST(ThreadPool, runsTheJobOnEveryThreadOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> calls(threads);
    for (int round = 0; round < 100; ++round)
      pool.run([&](unsigned thread) { ++calls[thread]; });
    for (auto &count : calls)
      EXPECT_EQ(count, 100);
  }
}

TEST(Barrier, nobodyPassesBeforeAllHaveCome) {
  ThreadPool pool(4);
  Barrier barrier(4);
  std::atomic<int> arrived{0}, wrong{0};
  pool.run([&](unsigned) {
    for (int round = 1; round <= 100; ++round) {
      ++arrived;
      barrier.arrive();
      if (arrived < 4 * round)
        ++wrong;
      barrier.arrive();
    }
  });
  EXPECT_EQ(wrong, 0);
}

/// A stage that checks that the one before is complete: counts[0] is the number of items done so far.
void countItems(void *const *args, int64_t begin, int64_t end) {
  auto *done = static_cast<std::atomic<int64_t> *>(args[0]);
  auto *wrong = static_cast<std::atomic<int64_t> *>(args[1]);
  const int64_t before = *static_cast<const int64_t *>(args[2]);
  if (*done < before)
    ++*wrong;
  *done += end - begin;
}

TEST(StageRunner, aStageBeginsWhenTheOneBeforeIsDone) {
  for (unsigned threads : {1u, 2u, 4u}) {
    ThreadPool pool(threads);
    StageRunner runner(pool);
    std::atomic<int64_t> done{0}, wrong{0};
    std::vector<int64_t> before(301);
    std::vector<std::array<void *, 3>> args(300);
    std::vector<Stage> stages;
    for (uint32_t i = 0; i < 300; ++i) {
      uint32_t items = i % 3 == 0 ? 1 : 1 + i % 40;
      args[i] = {&done, &wrong, &before[i]};
      stages.push_back({countItems, args[i].data(), items, 1 + i % 5});
      before[i + 1] = before[i] + items;
    }
    for (int round = 0; round < 50; ++round) {
      done = 0;
      std::vector<std::chrono::steady_clock::time_point> ends;
      runner.run(stages, round % 2 ? &ends : nullptr);
      EXPECT_EQ(done, before[300]);
      for (auto end : ends)
        EXPECT_GT(end.time_since_epoch().count(), 0);
    }
    EXPECT_EQ(wrong, 0);
  }
}

void sleepAWhile(void *const *, int64_t, int64_t) { usleep(5000); }

TEST(StageRunner, waitersThatSleptAreWoken) {
  ThreadPool pool(3);
  StageRunner runner(pool);
  runner.run(std::vector<Stage>(6, Stage{sleepAWhile, nullptr, 1, 1}));
}

TEST(ThreadPool, sleepersAreWoken) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    std::atomic<int> calls{0};
    usleep(20000); // far beyond the spinning: the workers sleep
    pool.run([&](unsigned thread) {
      if (thread == 0)
        usleep(20000); // the others sleep at the end barrier
      ++calls;
    });
    EXPECT_EQ(calls, 3);
  }
}

TEST(ThreadPool, parallelForCoversEveryItemOnce) {
  ThreadPool pool(2);
  for (uint64_t items : {0u, 1u, 7u, 1000u}) {
    std::vector<std::atomic<int>> seen(items);
    pool.parallelFor(items, 3, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i)
        ++seen[i];
    });
    for (auto &count : seen)
      EXPECT_EQ(count, 1);
  }
}

} // namespace
