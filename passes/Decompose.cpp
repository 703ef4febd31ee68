// qlr-decompose: linear layers and norms become the ops kernels are made of.
#include "dialect/Qlr.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_DECOMPOSEPASS
#include "passes/Passes.h.inc"

namespace {

struct DecomposeLinear : OpRewritePattern<LinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(LinearOp op, PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    WeightType weight = op.getWeight().getType();
    RankedTensorType type = op.getType();
    // The projection comes first: its product is needed by the epilogue of the other one.
    Value t;
    if (weight.getRank()) {
      auto projected = RankedTensorType::get({type.getDimSize(0), weight.projectedColumns()}, type.getElementType());
      t = ProjectOp::create(rewriter, loc, projected, op.getX(), op.getWeight());
    }
    Value y = MatmulOp::create(rewriter, loc, type, op.getX(), op.getWeight());
    if (t)
      y = ExpandOp::create(rewriter, loc, type, y, t, op.getWeight());
    if (op.getBias())
      y = BiasAddOp::create(rewriter, loc, type, y, op.getBias());
    rewriter.replaceOp(op, y);
    return success();
  }
};

struct DecomposeNorm : OpRewritePattern<RmsNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RmsNormOp op, PatternRewriter &rewriter) const override {
    RankedTensorType type = op.getType();
    auto statType = RankedTensorType::get({type.getDimSize(0)}, type.getElementType());
    Value stat = RmsStatOp::create(rewriter, op.getLoc(), statType, op.getX(), op.getEpsAttr());
    rewriter.replaceOpWithNewOp<NormApplyOp>(op, type, op.getX(), stat, op.getWeight());
    return success();
  }
};

struct DecomposePass : impl::DecomposePassBase<DecomposePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DecomposeLinear, DecomposeNorm>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace qlr
