// How the blocks of one launch work together: items claimed by a ticket counter, stages that wait for earlier ones,
// last arrivers that combine partial results. All counters are zero before a launch and after it.
//
// Deadlock cannot happen with any number of blocks: items are claimed in order, and an item waits only for items of
// earlier stages, which blocks that run have claimed.
#ifndef QLR_CODEGEN_NVPTX_KERNELSYNC_H
#define QLR_CODEGEN_NVPTX_KERNELSYNC_H

#include "codegen/nvptx/GpuEmitter.h"

namespace qlr {

/// The sync area, in i32 words: ticket, exits, one counter a stage, then arrival counters (`qlr-plan-sync` sizes it).
constexpr int64_t kTicketWord = 0, kExitWord = 1, kStageWords = 2;

class KernelSync {
public:
  /// `area`: the sync area, or null when the kernel needs none. `partials`: memory for partial results, or null.
  KernelSync(GpuEmitter &e, mlir::Value area, mlir::Value partials, int64_t stages)
      : e(e), area(area), partials(partials), stages(stages) {}

  bool exists() const { return static_cast<bool>(area); }

  /// Emits the loop in which the block claims items 0 .. total-1 in order and `body` does one; and what the last block
  /// to leave does. Without a sync area items are dealt out by block number.
  void forItems(int64_t total, llvm::function_ref<void(mlir::Value item)> body);

  /// What follows belongs to a stage whose arrival counters begin at `arrival` and whose partial results at byte
  /// `partial`.
  void enterStage(int64_t arrival, int64_t partial) {
    firstArrival = arrival;
    partialOffset = partial;
  }

  /// Returns when all `items` items of stage `stage` are done and visible to the whole block.
  void waitForStage(int64_t stage, int64_t items);
  /// Says that the block has finished an item of stage `stage`; all its threads call it.
  void finishItem(int64_t stage);

  /// Says that the block has written its part of the stage's result number `arrival` (i32, uniform), which has `count`
  /// parts; true (i1, uniform) for the block that comes last, which then sees all of them. Resets the counter.
  mlir::Value arriveLast(mlir::Value arrival, int64_t count);

  /// The stage's memory for partial results (global pointer).
  mlir::Value partialMemory() { return e.at(partials, partialOffset); }

private:
  mlir::Value word(int64_t index);

  GpuEmitter &e;
  mlir::Value area, partials;
  int64_t stages, firstArrival = 0, partialOffset = 0;
  mlir::Value broadcast; // one shared word, from thread 0 to its block
};

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_KERNELSYNC_H
