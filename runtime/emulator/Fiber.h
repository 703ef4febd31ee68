// Stacks for GPU threads, and the jump from one to another.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>
#include <mutex>
#include <vector>

namespace qlr::emu {

using Context = boost::context::detail::fcontext_t;

struct GpuThread;

/// What the one who jumps hands to the one who goes on: where to put the context of the former.
struct Hop {
  Context *from;
  GpuThread *to;
};

/// Stacks of one size, taken and given back by any host thread. An overflow hits a page without access.
class StackPool {
public:
  /// The pool of this process: launches follow one another, and stacks that were touched need no new pages.
  static StackPool &shared();

  StackPool() = default;
  ~StackPool();
  StackPool(const StackPool &) = delete;
  StackPool &operator=(const StackPool &) = delete;

  /// The top of a free stack. Throws Error when there is no memory.
  std::byte *take();
  void give(std::byte *top);

  /// Bytes below a top that may be used.
  static constexpr size_t bytes = 120 * 1024;

private:
  std::mutex lock;
  std::vector<void *> slabs;
  std::vector<std::byte *> free;
  unsigned colour = 0;
};

} // namespace qlr::emu
