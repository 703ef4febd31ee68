// Sleeping until a word in memory changes, and the waiting that comes before it.
#pragma once

#include <atomic>
#include <cstdint>

namespace qlr {

/// Sleeps as long as `word` holds `expected`; may wake without reason.
void futexWait(std::atomic<uint32_t> &word, uint32_t expected);

void futexWakeAll(std::atomic<uint32_t> &word);

void yieldCore();

/// Waits until `ready()`: looks again and again for about 30 us (longer than the imbalance between two stages, shorter
/// than a time slice), then gives the core away between looks. Returns false when that was in vain: it is time to
/// sleep.
template <typename Ready> bool spinUntil(Ready &&ready) {
  constexpr int spinLooks = 1000, yieldLooks = 20;
  for (int look = 0; look < spinLooks; ++look) {
    if (ready())
      return true;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  for (int look = 0; look < yieldLooks; ++look) {
    if (ready())
      return true;
    yieldCore();
  }
  return false;
}

} // namespace qlr
