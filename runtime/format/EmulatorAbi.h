//===- EmulatorAbi.h - between emulated kernels and what runs them --------===//
//
// codegen/emulator writes calls of these operations into kernels; runtime/emulator implements them. A library exports
// `qlr_emulator_library`, an EmulatorLibraryHeader.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>

namespace qlr {

/// What a kernel reads of the GPU thread that executes it; constant as long as the thread lives. The runtime's own
/// notes lie behind it.
struct EmulatorThread {
  uint32_t tid;      // in its block
  uint32_t threads;  // of a block
  uint32_t block;    // in the grid
  uint32_t blocks;   // of the grid
  uint32_t lane;     // tid % 32
  uint32_t warp;     // tid / 32
  std::byte *shared; // the block's dynamic shared memory
};

/// Memory that an access names. A generic address may point anywhere.
enum class EmulatorSpace : uint32_t { Generic = 0, Global = 1, Shared = 2 };

/// `what` of Read and Write: size in bytes in bits 0-15, log2 of the required alignment in bits 16-23, the space in
/// bits 24 and 25, and above it 1 + the number of the parameter that the address comes from, or 0.
constexpr uint32_t emulatorAccess(uint32_t bytes, uint32_t log2Align, EmulatorSpace space, uint32_t parameter) {
  return bytes | log2Align << 16 | static_cast<uint32_t>(space) << 24 | parameter << 26;
}
constexpr uint32_t emulatorParameters = 62; // that can be told apart

enum class EmulatorAtomic : uint32_t {
  Load,
  Store,
  Exchange,
  CompareExchange,
  Add,
  And,
  Or,
  Xor,
  Min,
  Max,
  UMin,
  UMax,
  FAdd
};
/// Bits of a memory order: what comes before is released, what comes after has acquired.
enum EmulatorOrder : uint32_t { EmulatorRelaxed = 0, EmulatorAcquire = 1, EmulatorRelease = 2 };

/// `what` of Atomic.
constexpr uint32_t emulatorAtomic(EmulatorAtomic operation, uint32_t order, uint32_t bytes, EmulatorSpace space,
                                  uint32_t parameter) {
  return static_cast<uint32_t>(operation) | order << 8 | bytes << 16 | static_cast<uint32_t>(space) << 24 |
         parameter << 26;
}

/// Every operation with its parameters after the EmulatorThread. The letters stand for types: p pointer, i i32, l i64.
/// Read, Write: address, what, site. Copy: to, from, bytes, spaces (to | from << 4; 8 added: unchecked), site. Set: to,
/// byte, bytes, space, site. Atomic: address, what, value, expected, site -> old value. Fence: order. Pause, Trap:
/// site. CopyAsync: to (shared), from (global), bytes | parameter << 8, bytes read (the rest is zero), site.
/// CopyAsyncWait: groups that may still be under way; CopyAsyncWaitAll waits for copies without a group too.
#define QLR_EMULATOR_OPERATIONS(X)                                                                                     \
  X(Read, void, "pii")                                                                                                 \
  X(Write, void, "pii")                                                                                                \
  X(Copy, void, "pplii")                                                                                               \
  X(Set, void, "pilii")                                                                                                \
  X(Atomic, uint64_t, "pilli")                                                                                         \
  X(Fence, void, "i")                                                                                                  \
  X(Pause, void, "i")                                                                                                  \
  X(Trap, void, "i")                                                                                                   \
  X(CopyAsync, void, "ppiii")                                                                                          \
  X(CopyAsyncCommit, void, "")                                                                                         \
  X(CopyAsyncWait, void, "i")                                                                                          \
  X(CopyAsyncWaitAll, void, "")

/// Collectives, all `void f(EmulatorThread *, uint32_t *out, const uint32_t *in, uint32_t site)`. What `in` holds:
///   Barrier*     id, threads (0: the whole block), predicate; out: the reduced predicate
///   WarpBarrier  mask
///   Shuffle*     mask, value, lane or distance, c; out: value, 1 when the source was in range
///   Vote*        mask, predicate; out: 0 or 1, or the ballot
///   Redux*       mask, value                                MatchAny     mask, value; out: the lanes with that value
///   MmaF16/Bf16  k (8 or 16), A (k/4 words), B (k/8), C (4 f32)
///   MmaInt8      k (16 or 32) | A unsigned << 8 | B unsigned << 9, A (k/8 words), B (k/16), C (4)
///   LoadMatrix   matrices (1, 2, 4) | transposed << 8, address (2 words); out: a word per matrix
#define QLR_EMULATOR_COLLECTIVES(X)                                                                                    \
  X(Barrier)                                                                                                           \
  X(BarrierAnd)                                                                                                        \
  X(BarrierOr)                                                                                                         \
  X(BarrierPopc)                                                                                                       \
  X(BarrierArrive)                                                                                                     \
  X(WarpBarrier)                                                                                                       \
  X(ShuffleIdx)                                                                                                        \
  X(ShuffleUp)                                                                                                         \
  X(ShuffleDown)                                                                                                       \
  X(ShuffleBfly)                                                                                                       \
  X(VoteAny)                                                                                                           \
  X(VoteAll)                                                                                                           \
  X(VoteUni)                                                                                                           \
  X(VoteBallot)                                                                                                        \
  X(ReduxAdd)                                                                                                          \
  X(ReduxMin)                                                                                                          \
  X(ReduxMax)                                                                                                          \
  X(ReduxUMin)                                                                                                         \
  X(ReduxUMax)                                                                                                         \
  X(ReduxAnd)                                                                                                          \
  X(ReduxOr)                                                                                                           \
  X(ReduxXor)                                                                                                          \
  X(MatchAny)                                                                                                          \
  X(MmaF16)                                                                                                            \
  X(MmaBf16)                                                                                                           \
  X(MmaInt8)                                                                                                           \
  X(LoadMatrix)

/// `float f(float)`; the approximations of the hardware computed exactly and rounded. Ftz flushes denormals.
#define QLR_EMULATOR_FUNCTIONS(X)                                                                                      \
  X(Ex2)                                                                                                               \
  X(Ex2Ftz)                                                                                                            \
  X(Lg2)                                                                                                               \
  X(Lg2Ftz)                                                                                                            \
  X(Rsqrt)                                                                                                             \
  X(RsqrtFtz)                                                                                                          \
  X(Rcp)                                                                                                               \
  X(RcpFtz)                                                                                                            \
  X(Sqrt)                                                                                                              \
  X(SqrtFtz)                                                                                                           \
  X(Sin)                                                                                                               \
  X(Cos)                                                                                                               \
  X(Tanh)

enum class EmulatorOp : uint32_t {
#define QLR_EMULATOR_OP(NAME, ...) NAME,
  QLR_EMULATOR_OPERATIONS(QLR_EMULATOR_OP) QLR_EMULATOR_COLLECTIVES(QLR_EMULATOR_OP)
      QLR_EMULATOR_FUNCTIONS(QLR_EMULATOR_OP)
#undef QLR_EMULATOR_OP
          Count
};
constexpr uint32_t emulatorOpCount = static_cast<uint32_t>(EmulatorOp::Count);

/// Most words a collective takes or gives.
constexpr uint32_t emulatorWords = 16;

constexpr uint32_t emulatorAbiVersion = 2;

/// One kernel of a library.
struct EmulatorKernel {
  const char *name;
  void (*entry)(EmulatorThread *, void *const *params);
  const uint32_t *parameterBytes;
  const char *sites; // texts of the operations, each ended by NUL, in the order of their numbers
  uint32_t parameters;
  uint32_t siteCount;
  uint32_t instrumented;
  uint32_t reserved;
};

struct EmulatorLibraryHeader {
  uint32_t version;
  uint32_t operationCount;
  void **operations; // to be filled in, indexed by EmulatorOp
  const EmulatorKernel *begin, *end;
};

} // namespace qlr
