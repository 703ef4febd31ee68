#include "runtime/exec/ThreadPool.h"

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

TEST(ThreadPool, barrierSeparatesStagesAndRunsLastOnce) {
  ThreadPool pool(4);
  int stage = 0; // written by the last at the barrier only
  std::atomic<int> wrong{0};
  pool.run([&](unsigned) {
    for (int i = 0; i < 2000; ++i) {
      if (stage != i)
        ++wrong;
      pool.barrier().arrive();
      pool.barrier().arrive([&] { ++stage; });
    }
  });
  EXPECT_EQ(stage, 2000);
  EXPECT_EQ(wrong, 0);
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
