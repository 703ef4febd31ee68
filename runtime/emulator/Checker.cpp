#include "runtime/emulator/Checker.h"

namespace qlr::emu {
namespace {

/// The tags that an access meets, and how to read them.
struct Range {
  ShadowBytes &shadow;
  uint64_t offset;
  uint32_t own;  // the thread's tag
  uint32_t base; // tags below are of accesses that happened before
  bool shared;
};

bool knowsInBlock(const GpuThread &thread, uint32_t clock, uint32_t tid) {
  const Warp &warp = *thread.owner;
  const Block &block = *warp.owner;
  if (clock < block.base || tid == thread.tid)
    return true;
  if (tid / 32 == thread.warp) {
    if (clock < warp.synced || (warp.partialSync && clock < warp.laneKnown[thread.lane][tid % 32]))
      return true;
  } else if (block.partialBarrier && clock < block.warpKnown[thread.warp][tid / 32]) {
    return true;
  }
  return false;
}

bool knows(const GpuThread &thread, uint32_t blockNumber, uint32_t clock, uint32_t tid) {
  const Block &block = *thread.owner->owner;
  if (blockNumber == thread.block && knowsInBlock(thread, clock, tid))
    return true;
  const Knowledge &foreign = thread.foreign ? thread.foreign : block.foreign;
  return foreign && clock < (*foreign)[uint64_t(blockNumber) * thread.threads + tid];
}

/// Whether the access with this tag happened before what `thread` does now.
bool ordered(const GpuThread &thread, const Range &range, uint32_t tag) {
  if (tag < range.base)
    return true;
  uint32_t epoch = tag::epoch(tag), tid = tag::thread(tag);
  if (range.shared)
    return knows(thread, thread.block, epoch, tid);
  Chunk chunk = thread.owner->owner->worker->launch.chunk(epoch);
  return knows(thread, chunk.block, chunk.clock, tid);
}

std::string addressText(const GpuThread &thread, uint64_t address, uint64_t bytes) {
  Launch &launch = thread.owner->owner->worker->launch;
  uint64_t shared = reinterpret_cast<uintptr_t>(thread.shared);
  // Red zones on both sides count as near.
  constexpr uint64_t close = 4096;
  std::string where;
  if (address - shared < launch.sharedBytes)
    where = "shared byte " + std::to_string(address - shared) + " of " + std::to_string(launch.sharedBytes);
  else if (address + close - shared < launch.sharedBytes + 2 * close)
    where = "shared byte " + std::to_string(static_cast<int64_t>(address - shared)) + ", outside the " +
            std::to_string(launch.sharedBytes) + " there are";
  else
    where = launch.registry.describe(address);
  return std::to_string(bytes) + (bytes == 1 ? " byte at " : " bytes at ") + where;
}

std::string otherText(const GpuThread &thread, const Range &range, uint32_t tag) {
  uint32_t tid = tag::thread(tag);
  if (range.shared)
    return "thread " + std::to_string(tid);
  Chunk chunk = thread.owner->owner->worker->launch.chunk(tag::epoch(tag));
  return "block " + std::to_string(chunk.block) + ", thread " + std::to_string(tid);
}

/// Notes the report; the caller leaves the thread when its own strings are gone.
void note(GpuThread &thread, const char *what, uint64_t address, uint64_t bytes, uint32_t site,
          const std::string &more = {}) {
  Launch &launch = thread.owner->owner->worker->launch;
  launch.setFault(whereOf(thread) + what + " at '" + launch.site(site) + "': " + addressText(thread, address, bytes) +
                  more);
}

[[noreturn]] void report(GpuThread &thread, const char *what, uint64_t address, uint64_t bytes, uint32_t site) {
  note(thread, what, address, bytes, site);
  thread.owner->owner->worker->abandon(thread);
}

[[noreturn]] void reportRace(GpuThread &thread, const Range &range, uint32_t tag, bool theyWrote, bool weWrite,
                             uint64_t address, uint32_t site) {
  Worker &worker = *thread.owner->owner->worker;
  worker.launch.setFault(whereOf(thread) + "data race at '" + worker.launch.site(site) +
                         "': " + (weWrite ? "writes " : "reads ") + addressText(thread, address, 1) + ", which " +
                         otherText(thread, range, tag) + (theyWrote ? " wrote" : " reads") +
                         (tag & tag::atomic ? " atomically" : "") + "; nothing orders the two");
  worker.abandon(thread);
}

void readByte(GpuThread &thread, const Range &range, uint64_t i, bool atomic, uint64_t address, uint32_t site) {
  uint32_t w = range.shadow.writers[range.offset + i];
  if (w & tag::more)
    report(thread, "read of a byte that a copy (cp.async) under way is to write", address + i, 1, site);
  if (range.shared && w == 0)
    report(thread, "read of shared memory never written", address + i, 1, site);
  if (!(atomic && (w & tag::atomic)) && !ordered(thread, range, w))
    reportRace(thread, range, w, true, false, address + i, site);
  uint32_t &r = range.shadow.readers[range.offset + i];
  if (r < range.base)
    r = range.own;
  else if (tag::thread(r) == thread.tid && tag::epoch(r) == tag::epoch(range.own))
    r &= range.own | ~tag::atomic; // plain if one of them is
  else if (ordered(thread, range, r))
    r = range.own;
  else
    r = (range.own & (r | ~tag::atomic)) | tag::more;
}

void writeByte(GpuThread &thread, const Range &range, uint64_t i, bool atomic, uint64_t address, uint32_t site) {
  uint32_t &w = range.shadow.writers[range.offset + i];
  if (w & tag::more)
    report(thread, "write to a byte that a copy (cp.async) under way is to write", address + i, 1, site);
  if (!(atomic && (w & tag::atomic)) && !ordered(thread, range, w))
    reportRace(thread, range, w, true, true, address + i, site);
  uint32_t r = range.shadow.readers[range.offset + i];
  if (r >= range.base && !(atomic && (r & tag::atomic))) {
    // Where this thread is the last of several readers of its own epoch, another one read just now, too.
    bool amongOthers = (r & tag::more) && tag::thread(r) == thread.tid && tag::epoch(r) == tag::epoch(range.own);
    if (amongOthers || !ordered(thread, range, r))
      reportRace(thread, range, r, false, true, address + i, site);
  }
  w = range.own;
}

void checkNotes(GpuThread &thread, const Range &range, uint64_t bytes, Access access, uint64_t address, uint32_t site) {
  bool atomic = access >= Access::AtomicRead, write = access == Access::Write || access == Access::AtomicWrite;
  if (bytes <= 16) {
    uint32_t size = static_cast<uint32_t>(bytes);
    Look look = write ? lookWrite(range.shadow, range.offset, size, range.own, range.base)
                      : lookRead(range.shadow, range.offset, size, range.own, range.base, range.shared);
    if (look == Look::Clean)
      return;
  }
  // Bytes next to each other mostly have the same past, and then the same future.
  uint32_t *writers = range.shadow.writers + range.offset, *readers = range.shadow.readers + range.offset;
  for (uint64_t i = 0; i < bytes;) {
    const uint32_t w = writers[i], r = readers[i];
    if (write)
      writeByte(thread, range, i, atomic, address, site);
    else
      readByte(thread, range, i, atomic, address, site);
    const uint32_t newWriter = writers[i], newReader = readers[i];
    for (++i; i < bytes && writers[i] == w && readers[i] == r; ++i) {
      writers[i] = newWriter;
      readers[i] = newReader;
    }
  }
}

/// The buffer that an access lies in, or null when it is out of bounds.
EmulatorMemory::Registry::Buffer *bufferOf(GpuThread &thread, uint64_t address, uint64_t bytes, uint32_t parameter) {
  Worker &worker = *thread.owner->owner->worker;
  if (parameter && worker.launch.ranges[parameter - 1].buffer) {
    const ParameterRange &range = worker.launch.ranges[parameter - 1];
    return address - range.begin < range.bytes && bytes <= range.bytes - (address - range.begin) ? range.buffer
                                                                                                 : nullptr;
  }
  EmulatorMemory::Registry::Buffer *buffer = worker.lastBuffer;
  if (!buffer || address - buffer->base >= buffer->bytes)
    buffer = worker.lastBuffer = worker.launch.registry.find(address);
  return buffer && bytes <= buffer->bytes - (address - buffer->base) ? buffer : nullptr;
}

[[noreturn]] void reportBounds(GpuThread &thread, uint64_t address, uint64_t bytes, uint32_t parameter, bool write,
                               uint32_t site) {
  const Launch &launch = thread.owner->owner->worker->launch;
  const char *what = write ? "write out of bounds" : "read out of bounds";
  if (parameter == 0 || parameter > launch.options.extents.size() || !launch.options.extents[parameter - 1] ||
      !launch.ranges[parameter - 1].buffer)
    report(thread, what, address, bytes, site);
  const ParameterRange &range = launch.ranges[parameter - 1];
  note(thread, what, address, bytes, site,
       ", which is byte " + std::to_string(static_cast<int64_t>(address - range.begin)) + " of parameter " +
           std::to_string(parameter - 1) + " of " + std::to_string(range.bytes) + " bytes");
  thread.owner->owner->worker->abandon(thread);
}

} // namespace

void checkAccess(GpuThread &thread, const void *pointer, uint64_t bytes, uint32_t align, EmulatorSpace space,
                 Access access, uint32_t site, uint32_t parameter) {
  Block &block = *thread.owner->owner;
  Worker &worker = *block.worker;
  Launch &launch = worker.launch;
  ++worker.counts.accesses;
  uint64_t address = reinterpret_cast<uintptr_t>(pointer);
  bool write = access == Access::Write || access == Access::AtomicWrite;
  uint32_t atomic = access >= Access::AtomicRead ? tag::atomic : 0;
  uint64_t inShared = address - reinterpret_cast<uintptr_t>(thread.shared);
  if (space == EmulatorSpace::Shared || (space == EmulatorSpace::Generic && inShared < launch.sharedBytes)) {
    if (inShared >= launch.sharedBytes || bytes > launch.sharedBytes - inShared)
      report(thread, write ? "write out of bounds" : "read out of bounds", address, bytes, site);
    if (address & (align - 1))
      report(thread, "misaligned access", address, bytes, site);
    Range range{block.sharedShadow, inShared, thread.sharedTag | atomic, tag::make(block.base, 0), true};
    return checkNotes(thread, range, bytes, access, address, site);
  }
  if (space == EmulatorSpace::Generic && reinterpret_cast<uintptr_t>(thread.stack) - address <= StackPool::bytes)
    return; // the thread's own
  EmulatorMemory::Registry::Buffer *buffer = bufferOf(thread, address, bytes, parameter);
  if (!buffer)
    reportBounds(thread, address, bytes, parameter, write, site);
  if (address & (align - 1))
    report(thread, "misaligned access", address, bytes, site);
  if (buffer->readOnly) {
    if (write)
      report(thread, "write to read-only memory", address, bytes, site);
    return;
  }
  Range range{buffer->shadow, address - buffer->base, thread.globalTag | atomic, tag::make(launch.firstEpoch, 0),
              false};
  checkNotes(thread, range, bytes, access, address, site);
}

void checkCopyStarted(GpuThread &thread, const void *to, uint32_t bytes, uint32_t site) {
  checkAccess(thread, to, bytes, bytes, EmulatorSpace::Shared, Access::Write, site);
  Block &block = *thread.owner->owner;
  uint64_t offset = static_cast<uint64_t>(static_cast<const std::byte *>(to) - thread.shared);
  for (uint32_t i = 0; i < bytes; ++i)
    block.sharedShadow.writers[offset + i] |= tag::more;
}

void noteCopyLanded(GpuThread &thread, const void *to, uint32_t bytes) {
  Block &block = *thread.owner->owner;
  uint64_t offset = static_cast<uint64_t>(static_cast<const std::byte *>(to) - thread.shared);
  for (uint32_t i = 0; i < bytes; ++i)
    block.sharedShadow.writers[offset + i] = thread.sharedTag;
}

} // namespace qlr::emu
