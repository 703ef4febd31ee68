#include "runtime/exec/StageRunner.h"

#include "runtime/exec/Futex.h"

#include <algorithm>

namespace qlr {

void StageRunner::reserve(size_t stages) {
  if (stages <= capacity)
    return;
  progress = std::make_unique<Progress[]>(stages);
  capacity = stages;
}

void StageRunner::await(Progress &stage, uint32_t items) {
  if (spinUntil([&] { return stage.done.load(std::memory_order_acquire) == items; }))
    return;
  // Whoever finishes the stage adds to `done` and then looks at `sleepers`; here it is the other way round. Either it
  // sees us and wakes us, or we see its work and do not sleep.
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  for (uint32_t seen; (seen = stage.done.load(std::memory_order_seq_cst)) != items;)
    futexWait(stage.done, seen);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
}

void StageRunner::run(const std::vector<Stage> &stages, std::vector<std::chrono::steady_clock::time_point> *ends) {
  reserve(stages.size());
  if (ends)
    ends->assign(stages.size(), {});
  for (size_t i = 0; i < stages.size(); ++i) {
    progress[i].next.store(0, std::memory_order_relaxed);
    progress[i].done.store(0, std::memory_order_relaxed);
  }
  pool.run([&](unsigned) {
    for (size_t i = 0; i < stages.size(); ++i) {
      const Stage &stage = stages[i];
      Progress &state = progress[i];
      uint32_t finished = 0;
      for (uint32_t begin; (begin = state.next.fetch_add(stage.chunk, std::memory_order_relaxed)) < stage.items;) {
        uint32_t end = std::min(stage.items, begin + stage.chunk);
        stage.function(stage.args, begin, end);
        finished += end - begin;
      }
      if (finished && state.done.fetch_add(finished, std::memory_order_seq_cst) + finished == stage.items) {
        if (ends)
          (*ends)[i] = std::chrono::steady_clock::now();
        if (sleepers.load(std::memory_order_seq_cst) != 0)
          futexWakeAll(state.done);
        continue;
      }
      await(state, stage.items);
    }
  });
}

} // namespace qlr
