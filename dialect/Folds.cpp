// Folders and canonical forms: views of views, views of everything, kernels without what they do not use.
#include "dialect/Qlr.h"

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;

namespace qlr {

OpFoldResult LastTokenOp::fold(FoldAdaptor) {
  return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getX().getType() == getType())
    return getX();
  auto inner = getX().getDefiningOp<SliceOp>();
  if (!inner)
    return {};
  setOffset(getOffset() + inner.getOffset());
  getXMutable().assign(inner.getX());
  return getResult();
}

/// Drops operands that nothing reads or that are given twice, and results that nothing reads.
LogicalResult KernelOp::canonicalize(KernelOp op, PatternRewriter &rewriter) {
  Block &body = op.getBody().front();
  llvm::SmallBitVector dropInputs(op.getInputs().size());
  llvm::DenseMap<Value, unsigned> first;
  for (auto [index, input] : llvm::enumerate(op.getInputs())) {
    auto [found, isNew] = first.try_emplace(input, index);
    if (!isNew)
      rewriter.replaceAllUsesWith(body.getArgument(index), body.getArgument(found->second));
    if (body.getArgument(index).use_empty())
      dropInputs.set(index);
  }
  SmallVector<Type> types;
  SmallVector<Value> yielded, kept;
  Operation *yield = body.getTerminator();
  for (auto [output, value] : llvm::zip(op.getOutputs(), yield->getOperands())) {
    if (output.use_empty())
      continue;
    types.push_back(output.getType());
    yielded.push_back(value);
    kept.push_back(output);
  }
  if (dropInputs.none() && types.size() == op.getNumResults())
    return failure();

  SmallVector<Value> inputs;
  for (auto [index, input] : llvm::enumerate(op.getInputs()))
    if (!dropInputs.test(index))
      inputs.push_back(input);
  rewriter.modifyOpInPlace(yield, [&] { yield->setOperands(yielded); });
  body.eraseArguments([&](BlockArgument argument) { return dropInputs.test(argument.getArgNumber()); });
  auto smaller = KernelOp::create(rewriter, op.getLoc(), types, inputs, op.getSourceAttr());
  rewriter.inlineRegionBefore(op.getBody(), smaller.getBody(), smaller.getBody().end());
  for (auto [output, result] : llvm::zip(kept, smaller.getOutputs()))
    rewriter.replaceAllUsesWith(output, result);
  rewriter.eraseOp(op);
  return success();
}

} // namespace qlr
