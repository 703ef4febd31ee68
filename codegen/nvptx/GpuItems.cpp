// How many items a stage has on a GPU, where an item is what a block of threads does together.
#include "codegen/nvptx/GpuStage.h"
#include "passes/SplitPlan.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qlr {

int64_t gpuItems(StageOp stage) {
  switch (stage.getDomain()) {
  case Domain::tokens:
  case Domain::strips: // the variant has been chosen for blocks of threads
    return stage.getItems();
  case Domain::blocks:
    return llvm::divideCeil(stage.getItems(), kBlockThreads / kWarp);
  case Domain::heads:
    break;
  }
  AttentionOp attention = attentionOf(stage);
  if (!attention)
    return llvm::divideCeil(stage.getItems(), kBlockThreads / kWarp);
  // All query heads of a kv head are one item.
  const int64_t tokens = cast<RankedTensorType>(attention.getQ().getType()).getDimSize(0);
  return tokens * attention.getCache().getType().getKvHeads() * stage.getVariantValue("splits", 1);
}

} // namespace qlr
