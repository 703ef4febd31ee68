// qlr-verify-planned: what code generation relies on.
#include "passes/ArgumentList.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_VERIFYPLANNEDPASS
#include "passes/Passes.h.inc"

namespace {

/// A cache that a kernel has appended to is not read under its old name: the launches before it are the only other
/// users.
LogicalResult verifyCaches(LaunchOp launch, KernelDefOp kernel) {
  for (Value result : kernel.getReturn().getValues()) {
    BlockArgument behind = isa<CacheType>(result.getType()) ? argumentBehind(result) : BlockArgument();
    if (!behind)
      continue;
    for (Operation *user : launch.getInputs()[behind.getArgNumber()].getUsers())
      if (user != launch && !user->isBeforeInBlock(launch))
        return user->emitOpError("reads a cache that a kernel before it has appended to");
  }
  return success();
}

LogicalResult verifyFunction(func::FuncOp func, SymbolTable &symbols) {
  for (StringRef name : {"qlr.workspace_bytes", "qlr.logits_offset"})
    if (!func->getAttrOfType<IntegerAttr>(name))
      return func.emitOpError() << "expects attribute " << name;
  for (Operation &op : func.front()) {
    if (op.hasTrait<OpTrait::IsTerminator>() || isa<WeightRefOp, VectorRefOp, CacheLayerOp>(op))
      continue;
    auto launch = dyn_cast<LaunchOp>(op);
    if (!launch)
      return op.emitOpError("is not part of a kernel");
    if (!launch.getArgs() || !launch.getWeightBytes())
      return launch.emitOpError("has no planned arguments");
    auto kernel = symbols.lookup<KernelDefOp>(launch.getKernel());
    if (failed(verifyCaches(launch, kernel)))
      return failure();
    int64_t expected = ArgumentList(kernel).size();
    if (int64_t(launch.getArgs()->size()) != expected)
      return launch.emitOpError() << "expects " << expected << " planned arguments, got " << launch.getArgs()->size();
  }
  return success();
}

LogicalResult verifyKernel(KernelDefOp kernel) {
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    auto stage = dyn_cast<StageOp>(op);
    if (!stage)
      return op.emitOpError("is not part of a stage");
    if (stage.getDomain() == Domain::strips && !stage.getVariant())
      return stage.emitOpError("over strips has no variant");
    for (Value value : stage.getYield().getValues())
      if (value.getParentRegion() != &stage.getBody())
        return stage.emitOpError("yields a value it does not compute");
  }
  return success();
}

struct VerifyPlannedPass : impl::VerifyPlannedPassBase<VerifyPlannedPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    // Kernels first: the argument lists of launches are theirs.
    for (auto kernel : getOperation().getOps<KernelDefOp>())
      if (failed(verifyKernel(kernel)))
        return signalPassFailure();
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(verifyFunction(func, symbols)))
        return signalPassFailure();
  }
};

} // namespace
} // namespace qlr
