// Memory operations of one GPU thread: announced accesses, atomics, fences, pauses, block copies, cp.async.
#include "runtime/emulator/Operations.h"

#include "runtime/emulator/Checker.h"
#include "runtime/emulator/Collectives.h"
#include "runtime/emulator/Functions.h"

#include <bit>
#include <cstring>

namespace qlr::emu {
namespace {

GpuThread &of(EmulatorThread *thread) { return *static_cast<GpuThread *>(thread); }
Worker &workerOf(GpuThread &thread) { return *thread.owner->owner->worker; }

/// A loop of plain loads that waits for another thread would never end: the race is found when that one runs. (Only the
/// thread that runs can give way, so this is no part of checkAccess, which the last lane of an ldmatrix calls for all.)
void giveWayNowAndThen(GpuThread &thread) {
  constexpr uint64_t accessesInARow = 1u << 20;
  Worker &worker = workerOf(thread);
  if (worker.counts.accesses - worker.accessesBefore < accessesInARow)
    return;
  worker.accessesBefore = worker.counts.accesses;
  thread.owner->owner->mayWait = true;
  worker.giveWay(thread);
}

template <Access access> void announce(EmulatorThread *thread, const void *address, uint32_t what, uint32_t site) {
  giveWayNowAndThen(of(thread));
  checkAccess(of(thread), address, what & 0xffff, 1u << (what >> 16 & 0xff), static_cast<EmulatorSpace>(what >> 24 & 3),
              access, site, what >> 26);
}

void announceNothing(EmulatorThread *, const void *, uint32_t, uint32_t) {}

/// Checks one side of a block copy; 8 in `space`: not to be checked.
void checkSide(GpuThread &thread, const void *address, uint64_t bytes, uint32_t space, Access access, uint32_t site) {
  if (!(space & 8) && bytes && workerOf(thread).launch.checks)
    checkAccess(thread, address, bytes, 1, static_cast<EmulatorSpace>(space), access, site);
}

void copy(EmulatorThread *handle, void *to, const void *from, uint64_t bytes, uint32_t spaces, uint32_t site) {
  checkSide(of(handle), from, bytes, spaces >> 4, Access::Read, site);
  checkSide(of(handle), to, bytes, spaces & 15, Access::Write, site);
  std::memmove(to, from, bytes);
}

void set(EmulatorThread *handle, void *to, uint32_t byte, uint64_t bytes, uint32_t space, uint32_t site) {
  checkSide(of(handle), to, bytes, space, Access::Write, site);
  std::memset(to, static_cast<int>(byte), bytes);
}

uint64_t updated(EmulatorAtomic operation, uint64_t old, uint64_t value, uint64_t expected, uint32_t bytes) {
  int64_t signedOld = bytes == 4 ? static_cast<int32_t>(old) : static_cast<int64_t>(old);
  int64_t signedValue = bytes == 4 ? static_cast<int32_t>(value) : static_cast<int64_t>(value);
  switch (operation) {
  case EmulatorAtomic::Load:
    return old;
  case EmulatorAtomic::Store:
  case EmulatorAtomic::Exchange:
    return value;
  case EmulatorAtomic::CompareExchange:
    return old == expected ? value : old;
  case EmulatorAtomic::Add:
    return old + value;
  case EmulatorAtomic::And:
    return old & value;
  case EmulatorAtomic::Or:
    return old | value;
  case EmulatorAtomic::Xor:
    return old ^ value;
  case EmulatorAtomic::Min:
    return signedValue < signedOld ? value : old;
  case EmulatorAtomic::Max:
    return signedValue > signedOld ? value : old;
  case EmulatorAtomic::UMin:
    return value < old ? value : old;
  case EmulatorAtomic::UMax:
    return value > old ? value : old;
  case EmulatorAtomic::FAdd:
    return std::bit_cast<uint32_t>(std::bit_cast<float>(static_cast<uint32_t>(old)) +
                                   std::bit_cast<float>(static_cast<uint32_t>(value)));
  }
  return old;
}

/// What is released through, and acquired from, the variable at `address`. A relaxed update of a variable hands on what
/// was released before (it continues the release sequence); a plain value written ends it.
void orderAtomic(GpuThread &thread, uint64_t address, EmulatorAtomic operation, uint32_t order, bool writes) {
  Launch &launch = workerOf(thread).launch;
  bool quiet = order == EmulatorRelaxed && !thread.fenced;
  auto found = launch.variables.find(address);
  if (quiet && found == launch.variables.end())
    return;
  SyncVariable &variable = found == launch.variables.end() ? launch.variables[address] : found->second;
  if (operation != EmulatorAtomic::Store) {
    if (order & EmulatorAcquire) {
      if (thread.acquiredFrom != &variable || thread.acquiredVersion != variable.version) {
        acquire(thread, variable.released);
        thread.acquiredFrom = &variable;
        thread.acquiredVersion = variable.version;
      }
    } else if (variable.released) {
      thread.seen = join(thread.seen, variable.released);
    }
  }
  if (!writes)
    return;
  if (operation == EmulatorAtomic::Store && variable.released) {
    variable.released = nullptr;
    ++variable.version;
  }
  if (order & EmulatorRelease) {
    variable.released = join(variable.released, release(thread));
    ++variable.version;
  } else if (thread.fenced) {
    variable.released = join(variable.released, thread.fenced);
    ++variable.version;
  }
}

uint64_t atomic(EmulatorThread *handle, void *address, uint32_t what, uint64_t value, uint64_t expected,
                uint32_t site) {
  GpuThread &thread = of(handle);
  Worker &worker = workerOf(thread);
  Launch &launch = worker.launch;
  auto operation = static_cast<EmulatorAtomic>(what & 0xff);
  uint32_t order = what >> 8 & 0xff, bytes = what >> 16 & 0xff;
  bool writes = operation != EmulatorAtomic::Load;
  if (launch.checks)
    checkAccess(thread, address, bytes, bytes, static_cast<EmulatorSpace>(what >> 24 & 3),
                writes ? Access::AtomicWrite : Access::AtomicRead, site, what >> 26);
  uint64_t old = 0;
  {
    std::lock_guard lock(launch.atomics);
    std::memcpy(&old, address, bytes);
    if (writes) {
      uint64_t result = updated(operation, old, value, expected, bytes);
      std::memcpy(address, &result, bytes);
    }
    if (launch.checks)
      orderAtomic(thread, reinterpret_cast<uintptr_t>(address), operation, order, writes);
  }
  Block &block = *thread.owner->owner;
  if (!writes) {
    // The second look at the same value: a loop that waits for another block.
    if (thread.polled == address && thread.polledValue == old)
      pause(thread, site);
    else {
      ++block.progress;
      worker.wake();
    }
    thread.polled = address;
    thread.polledValue = old;
    return old;
  }
  thread.polled = nullptr;
  ++block.progress;
  worker.wake();
  worker.maybeGiveWay(thread);
  return old;
}

void fence(EmulatorThread *handle, uint32_t order) {
  GpuThread &thread = of(handle);
  Launch &launch = workerOf(thread).launch;
  if (!launch.checks)
    return;
  if (order & EmulatorAcquire)
    acquire(thread, thread.seen);
  if (order & EmulatorRelease)
    thread.fenced = release(thread);
}

void pauseOperation(EmulatorThread *thread, uint32_t site) { pause(of(thread), site); }

void trap(EmulatorThread *handle, uint32_t site) {
  GpuThread &thread = of(handle);
  Worker &worker = workerOf(thread);
  worker.launch.setFault(whereOf(thread) + "the kernel stops itself at '" + worker.launch.site(site) + "'");
  worker.abandon(thread);
}

void copyAsync(EmulatorThread *handle, void *to, const void *from, uint32_t what, uint32_t read, uint32_t site) {
  const uint32_t bytes = what & 255;
  GpuThread &thread = of(handle);
  Worker &worker = workerOf(thread);
  if (read > bytes) {
    worker.launch.setFault(whereOf(thread) + "'" + worker.launch.site(site) + "' reads " + std::to_string(read) +
                           " bytes to copy " + std::to_string(bytes));
    worker.abandon(thread);
  }
  if (worker.launch.checks) {
    if (read)
      checkAccess(thread, from, read, bytes, EmulatorSpace::Global, Access::Read, site, what >> 8);
    checkCopyStarted(thread, to, bytes, site);
  }
  thread.copies.push_back({static_cast<std::byte *>(to), static_cast<const std::byte *>(from), bytes, read, site});
}

/// Lets the oldest `count` copies land.
void land(GpuThread &thread, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const PendingCopy &copy = thread.copies[i];
    if (copy.read)
      std::memcpy(copy.to, copy.from, copy.read);
    std::memset(copy.to + copy.read, 0, copy.bytes - copy.read);
    if (workerOf(thread).launch.checks)
      noteCopyLanded(thread, copy.to, copy.bytes);
  }
  thread.copies.erase(thread.copies.begin(), thread.copies.begin() + static_cast<ptrdiff_t>(count));
}

void copyAsyncCommit(EmulatorThread *handle) {
  GpuThread &thread = of(handle);
  size_t before = 0;
  for (uint32_t group : thread.groups)
    before += group;
  thread.groups.push_back(static_cast<uint32_t>(thread.copies.size() - before));
}

void copyAsyncWait(EmulatorThread *handle, uint32_t mayRemain) {
  GpuThread &thread = of(handle);
  if (thread.groups.size() <= mayRemain)
    return;
  size_t done = thread.groups.size() - mayRemain, count = 0;
  for (size_t i = 0; i < done; ++i)
    count += thread.groups[i];
  thread.groups.erase(thread.groups.begin(), thread.groups.begin() + static_cast<ptrdiff_t>(done));
  land(thread, count);
}

void copyAsyncWaitAll(EmulatorThread *handle) {
  GpuThread &thread = of(handle);
  thread.groups.clear();
  land(thread, thread.copies.size());
}

} // namespace

void pause(GpuThread &thread, uint32_t site) {
  Warp &warp = *thread.owner;
  thread.waitSite = site;
  warp.ready &= ~(1u << thread.lane);
  warp.polling |= 1u << thread.lane;
  workerOf(thread).suspend(thread);
}

void fillOperations(void **operations, bool checks) {
  auto at = [&](EmulatorOp op) -> void *& { return operations[static_cast<uint32_t>(op)]; };
  auto put = [&](EmulatorOp op, auto *function) { at(op) = reinterpret_cast<void *>(function); };
  put(EmulatorOp::Read, checks ? &announce<Access::Read> : &announceNothing);
  put(EmulatorOp::Write, checks ? &announce<Access::Write> : &announceNothing);
  put(EmulatorOp::Copy, &copy);
  put(EmulatorOp::Set, &set);
  put(EmulatorOp::Atomic, &atomic);
  put(EmulatorOp::Fence, &fence);
  put(EmulatorOp::Pause, &pauseOperation);
  put(EmulatorOp::Trap, &trap);
  put(EmulatorOp::CopyAsync, &copyAsync);
  put(EmulatorOp::CopyAsyncCommit, &copyAsyncCommit);
  put(EmulatorOp::CopyAsyncWait, &copyAsyncWait);
  put(EmulatorOp::CopyAsyncWaitAll, &copyAsyncWaitAll);
#define QLR_PUT(NAME) put(EmulatorOp::NAME, collectiveFunction(EmulatorOp::NAME));
  QLR_EMULATOR_COLLECTIVES(QLR_PUT)
#undef QLR_PUT
#define QLR_PUT(NAME) put(EmulatorOp::NAME, &function##NAME);
  QLR_EMULATOR_FUNCTIONS(QLR_PUT)
#undef QLR_PUT
}

} // namespace qlr::emu
