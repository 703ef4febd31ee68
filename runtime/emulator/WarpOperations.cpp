// Shuffles, votes, reductions and ldmatrix, on the arguments of a warp's lanes.
#include "runtime/emulator/Checker.h"
#include "runtime/emulator/Collectives.h"

#include <bit>
#include <cstring>

namespace qlr::emu {
namespace {

/// The lane that `lane` reads in a shuffle, by the rules of PTX; itself where that is out of range.
struct Source {
  uint32_t lane;
  bool inRange;
};

Source sourceOf(EmulatorOp op, uint32_t lane, uint32_t b, uint32_t c) {
  uint32_t clamp = c & 31, segment = c >> 8 & 31;
  int32_t last = static_cast<int32_t>((lane & segment) | (clamp & ~segment));
  int32_t from = 0;
  bool inRange = true;
  switch (op) {
  case EmulatorOp::ShuffleUp:
    from = static_cast<int32_t>(lane) - static_cast<int32_t>(b & 31);
    inRange = from >= last; // with a clamp of 0, the first lane of the segment
    break;
  case EmulatorOp::ShuffleDown:
    from = static_cast<int32_t>(lane + (b & 31));
    inRange = from <= last;
    break;
  case EmulatorOp::ShuffleBfly:
    from = static_cast<int32_t>(lane ^ (b & 31));
    inRange = from <= last;
    break;
  default:
    from = static_cast<int32_t>((lane & segment) | (b & 31 & ~segment));
    inRange = from <= last;
    break;
  }
  return {inRange ? static_cast<uint32_t>(from) : lane, inRange};
}

} // namespace

void computeShuffle(Warp &warp, EmulatorOp op, uint32_t mask, uint32_t site) {
  for (uint32_t left = mask; left; left &= left - 1) {
    uint32_t lane = static_cast<uint32_t>(std::countr_zero(left));
    const uint32_t *in = warp.in[lane];
    Source source = sourceOf(op, lane, in[2], in[3]);
    if (!(mask >> source.lane & 1)) {
      GpuThread &thread = warp.lanes[lane];
      warp.owner->worker->launch.setFault(whereOf(thread) + "'" + warp.owner->worker->launch.site(site) +
                                          "' reads lane " + std::to_string(source.lane) + ", which does not take part");
      warp.owner->worker->abandon(thread);
    }
    warp.out[lane][0] = warp.in[source.lane][1];
    warp.out[lane][1] = source.inRange;
  }
}

void computeVote(Warp &warp, EmulatorOp op, uint32_t mask) {
  uint32_t ballot = 0;
  for (uint32_t left = mask; left; left &= left - 1)
    if (warp.in[std::countr_zero(left)][1])
      ballot |= left & -left;
  uint32_t result = ballot;
  if (op == EmulatorOp::VoteAny)
    result = ballot != 0;
  else if (op == EmulatorOp::VoteAll)
    result = ballot == mask;
  else if (op == EmulatorOp::VoteUni)
    result = ballot == mask || ballot == 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    int lane = std::countr_zero(left);
    if (op == EmulatorOp::MatchAny) {
      result = 0;
      for (uint32_t other = mask; other; other &= other - 1)
        if (warp.in[std::countr_zero(other)][1] == warp.in[lane][1])
          result |= other & -other;
    }
    warp.out[lane][0] = result;
  }
}

void computeRedux(Warp &warp, EmulatorOp op, uint32_t mask) {
  uint32_t result = warp.in[std::countr_zero(mask)][1];
  for (uint32_t left = mask & (mask - 1); left; left &= left - 1) {
    uint32_t value = warp.in[std::countr_zero(left)][1];
    bool less = static_cast<int32_t>(value) < static_cast<int32_t>(result);
    switch (op) {
    case EmulatorOp::ReduxAdd:
      result += value;
      break;
    case EmulatorOp::ReduxMin:
      result = less ? value : result;
      break;
    case EmulatorOp::ReduxMax:
      result = less ? result : value;
      break;
    case EmulatorOp::ReduxUMin:
      result = value < result ? value : result;
      break;
    case EmulatorOp::ReduxUMax:
      result = value < result ? result : value;
      break;
    case EmulatorOp::ReduxAnd:
      result &= value;
      break;
    case EmulatorOp::ReduxOr:
      result |= value;
      break;
    default:
      result ^= value;
      break;
    }
  }
  for (uint32_t left = mask; left; left &= left - 1)
    warp.out[std::countr_zero(left)][0] = result;
}

void computeLoadMatrix(Warp &warp, uint32_t site) {
  const uint32_t matrices = warp.in[0][0] & 255;
  const bool transposed = warp.in[0][0] >> 8;
  const bool checked = warp.owner->worker->launch.checks;
  // Row r of matrix m is at the address of lane 8 m + r.
  uint16_t elements[4][8][8];
  for (uint32_t row = 0; row < 8 * matrices; ++row) {
    uint64_t address;
    std::memcpy(&address, warp.in[row] + 1, sizeof address);
    const void *pointer = reinterpret_cast<const void *>(address);
    if (checked)
      checkAccess(warp.lanes[row], pointer, 16, 16, EmulatorSpace::Shared, Access::Read, site);
    std::memcpy(elements[row / 8][row % 8], pointer, 16);
  }
  for (uint32_t lane = 0; lane < 32; ++lane)
    for (uint32_t m = 0; m < matrices; ++m) {
      uint32_t major = lane / 4, minor = lane % 4 * 2;
      uint16_t low = transposed ? elements[m][minor][major] : elements[m][major][minor];
      uint16_t high = transposed ? elements[m][minor + 1][major] : elements[m][major][minor + 1];
      warp.out[lane][m] = low | static_cast<uint32_t>(high) << 16;
    }
}

} // namespace qlr::emu
