// qlr-defer-norm: the statistic of a norm multiplies what comes out of a product instead of what goes in.
#include "dialect/Qlr.h"
#include "passes/Passes.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_DEFERNORMPASS
#include "passes/Passes.h.inc"

namespace {

/// What has to change for one norm.
struct Deferral {
  SmallVector<Value> products; // each is scaled by the statistic
  SmallVector<ProjectOp> projections;
};

/// Collects what reads normalized activations `x`; false if something other than products does.
bool collect(Value x, Deferral &deferral) {
  for (Operation *user : x.getUsers()) {
    if (auto matmul = dyn_cast<MatmulOp>(user))
      deferral.products.push_back(matmul.getResult());
    else if (auto project = dyn_cast<ProjectOp>(user))
      deferral.projections.push_back(project);
    else if (!isa<RotateOp>(user) || !collect(user->getResult(0), deferral))
      return false;
  }
  return true;
}

/// The branch L (R x') joins its product before the statistic multiplies both. False if it joins anything else.
bool joinBranches(Deferral &deferral) {
  for (ProjectOp project : deferral.projections)
    for (Operation *user : project->getUsers()) {
      auto expand = dyn_cast<ExpandOp>(user);
      if (!expand || expand.getT() != project.getResult())
        return false;
      auto product = llvm::find(deferral.products, expand.getY());
      if (product == deferral.products.end() || !expand.getY().hasOneUse())
        return false;
      *product = expand.getResult();
    }
  // What is left of products under an expansion has a branch that is not normalized.
  return llvm::none_of(deferral.products, [](Value product) {
    return llvm::any_of(product.getUsers(), [](Operation *user) { return isa<ExpandOp>(user); });
  });
}

struct DeferNormPass : impl::DeferNormPassBase<DeferNormPass> {
  void runOnOperation() override {
    SmallVector<NormApplyOp> norms;
    getOperation().walk([&](NormApplyOp norm) { norms.push_back(norm); });
    for (NormApplyOp norm : norms) {
      Deferral deferral;
      if (norm->use_empty() || !collect(norm.getResult(), deferral) || !joinBranches(deferral))
        continue;
      OpBuilder builder(norm);
      norm.replaceAllUsesWith(
          ScaleColumnsOp::create(builder, norm.getLoc(), norm.getType(), norm.getX(), norm.getWeight()).getResult());
      for (Value product : deferral.products) {
        builder.setInsertionPointAfterValue(product);
        auto scaled = ScaleTokensOp::create(builder, product.getLoc(), product.getType(), product, norm.getStat());
        product.replaceAllUsesExcept(scaled, scaled);
      }
      norm.erase();
    }
  }
};

} // namespace
} // namespace qlr
