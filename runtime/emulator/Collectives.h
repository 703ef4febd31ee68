// Where GPU threads meet.
#pragma once

#include "runtime/emulator/Launch.h"

namespace qlr::emu {

using CollectiveFunction = void (*)(EmulatorThread *, uint32_t *out, const uint32_t *in, uint32_t site);

/// `thread` lets other threads and blocks go on before it looks again.
void pause(GpuThread &thread, uint32_t site);

/// The implementation of a collective, for the table of operations.
CollectiveFunction collectiveFunction(EmulatorOp op);

/// `thread` exits: reports those who wait for it in vain.
void leaveCollectives(GpuThread &thread);

/// Why no thread of `block` goes on: the first that waits, for whom, and where those are.
std::string describeStuck(const Block &block);

/// Computes what lanes `mask` of a warp have arrived for, from warp.in to warp.out. Reports faults as of the lane that
/// made them.
void computeShuffle(Warp &warp, EmulatorOp op, uint32_t mask, uint32_t site);
void computeVote(Warp &warp, EmulatorOp op, uint32_t mask);
void computeRedux(Warp &warp, EmulatorOp op, uint32_t mask);
void computeLoadMatrix(Warp &warp, uint32_t site);
/// All 32 lanes; in and out as EmulatorAbi.h says.
void computeMma(EmulatorOp op, const uint32_t *const *in, uint32_t *const *out);

} // namespace qlr::emu
