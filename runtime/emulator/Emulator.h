// Runs GPU kernels that codegen/emulator compiled for the host, and finds their faults. docs/emulator.md says what is
// modelled and what is not.
#pragma once

#include "runtime/exec/KernelLibrary.h"
#include "runtime/format/Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace qlr {

/// Global memory as kernels see it: buffers of this process. An access that is not inside one buffer is a fault, and so
/// is a write to a read-only one. The checker's notes on writable buffers take eight bytes for each byte that kernels
/// touch. Not thread-safe; must not change while a launch runs.
class EmulatorMemory {
public:
  EmulatorMemory();
  ~EmulatorMemory();
  EmulatorMemory(EmulatorMemory &&) noexcept;
  EmulatorMemory &operator=(EmulatorMemory &&) noexcept;

  /// Makes [base, base + bytes) known as `name`. The memory stays the caller's and must outlive its registration.
  /// Throws Error when it overlaps another buffer. No bytes: nothing happens.
  void registerBuffer(const void *base, uint64_t bytes, bool readOnly, const std::string &name);

  /// Forgets the buffer that begins at `base`; throws Error when there is none.
  void unregisterBuffer(const void *base);

  class Registry;
  Registry &registry() const { return *impl; }

private:
  std::unique_ptr<Registry> impl;
};

/// How a launch is carried out. None of it may change results.
struct LaunchOptions {
  /// 0: blocks one after another in the order of their numbers, warps in order; a block gives way only where it waits
  /// for another. Else blocks start in a random order, warps run in a random order, and blocks change places at atomic
  /// operations and barriers.
  uint64_t seed = 0;
  /// Host threads, each running whole blocks. More than one: which block does what depends on timing.
  unsigned hostThreads = 1;
  /// Look for faults of memory (kernels compiled without instrumentation are not checked either way).
  bool checks = true;
  /// For each pointer parameter the bytes that may be accessed through it, or 0 where only its buffer limits it; may be
  /// empty. An access is held against its parameter where the compiler could see which one it is.
  std::span<const uint64_t> extents = {};
};

/// What a launch did.
struct LaunchCounts {
  uint64_t collectives = 0; ///< barriers, shuffles, matrix products..., each counted once per warp
  uint64_t accesses = 0;    ///< accesses to memory that were checked
  uint64_t switches = 0;    ///< from one GPU thread to another
};

/// The kernels of one artifact. A library runs one launch at a time.
class EmulatorLibrary {
public:
  /// Opens a shared object made by codegen/emulator. `file` and `tensor` name it in errors, which are thrown as Error.
  static EmulatorLibrary open(std::span<const std::byte> image, const std::string &file, const std::string &tensor);

  EmulatorLibrary();
  ~EmulatorLibrary();
  EmulatorLibrary(EmulatorLibrary &&) noexcept;
  EmulatorLibrary &operator=(EmulatorLibrary &&) noexcept;

  std::vector<std::string> kernels() const;
  bool has(const std::string &kernel) const;
  /// Sizes in bytes of the kernel's parameters, in order. Throws Error when there is no such kernel.
  std::vector<uint32_t> parameterSizes(const std::string &kernel) const;

  /// Runs `grid` blocks of `threads` threads with `sharedBytes` of dynamic shared memory to the end. `params` are
  /// addresses of the parameters' values, as cuLaunchKernel takes them; launches are ordered one after the other.
  /// Throws Error with a report of the first fault: what, where (kernel, block, thread, operation), which address. The
  /// library and the memory may be used again after that; what the kernel had written stays.
  LaunchCounts launch(EmulatorMemory &memory, const std::string &kernel, uint32_t grid, uint32_t threads,
                      uint64_t sharedBytes, void *const *params, const LaunchOptions &options = {});

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace qlr
