// Finds faults of memory: bounds, alignment, bytes never written, races. Every function that finds one ends the launch.
#pragma once

#include "runtime/emulator/Launch.h"

namespace qlr::emu {

enum class Access { Read, Write, AtomicRead, AtomicWrite };

/// An access of `bytes` at `address`; alignment in bytes; `parameter` as in EmulatorAbi.h.
void checkAccess(GpuThread &thread, const void *address, uint64_t bytes, uint32_t align, EmulatorSpace space,
                 Access access, uint32_t site, uint32_t parameter = 0);

/// Of shared memory: the target of a copy that has been started, and what becomes of it when the copy has landed.
void checkCopyStarted(GpuThread &thread, const void *to, uint32_t bytes, uint32_t site);
void noteCopyLanded(GpuThread &thread, const void *to, uint32_t bytes);

/// Notes at the start of a block.
void startNotes(Block &block);

// Synchronizations. The threads of `lanes` (by warp) have met: what each did before is known to all of them.
void meetBlock(Block &block);
void meetWarps(Block &block, const std::array<uint32_t, 32> &lanes);
void meetLanes(Warp &warp, uint32_t lanes);

/// Everything that `thread` knows, its own accesses included; its accesses to come have a later clock.
Knowledge release(GpuThread &thread);
/// `thread` knows what `what` says.
void acquire(GpuThread &thread, const Knowledge &what);
/// The union; either may be null.
Knowledge join(const Knowledge &a, const Knowledge &b);

} // namespace qlr::emu
