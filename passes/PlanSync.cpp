// qlr-plan-sync: what blocks of one launch need to work together.
#include "passes/Passes.h"
#include "passes/SplitPlan.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_PLANSYNCPASS
#include "passes/Passes.h.inc"

AttentionOp attentionOf(StageOp stage) {
  auto ops = stage.getBody().front().getOps<AttentionOp>();
  return ops.empty() ? AttentionOp() : *ops.begin();
}

int64_t attentionPartialBytes(int64_t tokens, int64_t heads, int64_t headDim, int64_t splits) {
  return splits * tokens * heads * (headDim + 2) * 4;
}

SplitPlan splitPlan(StageOp stage) {
  SplitPlan plan;
  plan.splits = stage.getVariantValue("splits", 1);
  if (plan.splits == 1)
    return plan;
  if (AttentionOp attention = attentionOf(stage)) {
    CacheType cache = attention.getCache().getType();
    const int64_t tokens = cast<RankedTensorType>(attention.getQ().getType()).getDimSize(0);
    plan.arrivals = tokens * cache.getKvHeads();
    plan.partialBytes = attentionPartialBytes(tokens, attention.getHeads(), cache.getHeadDim(), plan.splits);
    return plan;
  }
  for (Operation &op : stage.getBody().front()) {
    if (!isa<MatmulOp, ProjectOp>(op))
      continue;
    const int64_t tokens = cast<RankedTensorType>(op.getResult(0).getType()).getDimSize(0);
    plan.arrivals = stage.getItems() / plan.splits;
    plan.partialBytes = stage.getItems() * tokens * 16 * stage.getVariantValue("strips", 1) * 4;
  }
  return plan;
}

namespace {
struct PlanSyncPass : impl::PlanSyncPassBase<PlanSyncPass> {
  void runOnOperation() override {
    Builder builder(&getContext());
    for (auto kernel : getOperation().getOps<KernelDefOp>()) {
      int64_t stages = 0, arrivals = 0, partialBytes = 0;
      for (auto stage : kernel.getBody().front().getOps<StageOp>()) {
        SplitPlan plan = splitPlan(stage);
        ++stages;
        arrivals += plan.arrivals;
        partialBytes += plan.partialBytes;
      }
      if (stages > 1 || arrivals) // ticket, exits, stages, arrivals
        kernel->setAttr("qlr.sync_words", builder.getI64IntegerAttr(2 + stages + arrivals));
      if (partialBytes)
        kernel->setAttr("qlr.partial_bytes", builder.getI64IntegerAttr(partialBytes));
    }
  }
};
} // namespace
} // namespace qlr
