// qlr-share-kernels: kernels with equal regions become launches of one kernel_def.
#include "dialect/Qlr.h"
#include "passes/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/Support/DebugLog.h"

#include <unordered_map>

#define DEBUG_TYPE "qlr-share-kernels"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_SHAREKERNELSPASS
#include "passes/Passes.h.inc"

namespace {

/// Equal for equal regions: operations, attributes and types, but not which value is used where.
size_t hashBody(Block &body) {
  llvm::hash_code hash = llvm::hash_combine_range(body.getArgumentTypes());
  body.walk([&](Operation *op) {
    hash = llvm::hash_combine(hash, OperationEquivalence::computeHash(op, OperationEquivalence::ignoreHashValue,
                                                                      OperationEquivalence::ignoreHashValue,
                                                                      OperationEquivalence::IgnoreLocations));
  });
  return hash;
}

bool equalBodies(KernelOp kernel, KernelDefOp def) {
  if (TypeRange(kernel.getInputs()) != TypeRange(def.getArgumentTypes()) ||
      TypeRange(kernel.getOutputs()) != TypeRange(def.getResultTypes()))
    return false;
  // The terminators differ in kind, so compare op by op.
  Block &a = kernel.getBody().front(), &b = def.getBody().front();
  if (a.getOperations().size() != b.getOperations().size())
    return false;
  llvm::DenseMap<Value, Value> same;
  for (auto [x, y] : llvm::zip(a.getArguments(), b.getArguments()))
    same[x] = y;
  auto checkEquivalent = [&](Value x, Value y) { return success(same.lookup(x) == y); };
  auto markEquivalent = [&](Value x, Value y) { same[x] = y; };
  for (auto [x, y] : llvm::zip(a.without_terminator(), b.without_terminator()))
    if (!OperationEquivalence::isEquivalentTo(&x, &y, checkEquivalent, markEquivalent,
                                              OperationEquivalence::IgnoreLocations))
      return false;
  return llvm::all_of(llvm::zip(a.getTerminator()->getOperands(), b.getTerminator()->getOperands()),
                      [&](auto pair) { return same.lookup(std::get<0>(pair)) == std::get<1>(pair); });
}

struct ShareKernelsPass : impl::ShareKernelsPassBase<ShareKernelsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    std::unordered_multimap<size_t, KernelDefOp> defs;
    unsigned next = 0;
    SmallVector<KernelOp> kernels;
    getOperation().walk([&](KernelOp kernel) { kernels.push_back(kernel); });
    for (KernelOp kernel : kernels) {
      size_t hash = hashBody(kernel.getBody().front());
      KernelDefOp def;
      auto [begin, end] = defs.equal_range(hash);
      for (auto it = begin; it != end && !def; ++it)
        if (equalBodies(kernel, it->second))
          def = it->second;
      OpBuilder builder(kernel);
      if (!def) {
        while (symbols.lookup("k" + std::to_string(next)))
          ++next;
        def = makeDef(kernel, "k" + std::to_string(next++));
        symbols.insert(def);
        defs.emplace(hash, def);
      }
      auto launch = LaunchOp::create(builder, kernel.getLoc(), kernel.getResultTypes(), def.getSymName(),
                                     kernel.getInputs(), ArrayAttr(), IntegerAttr(), kernel.getSourceAttr());
      kernel.replaceAllUsesWith(launch.getOutputs());
      kernel.erase();
    }
    LDBG() << kernels.size() << " kernels, " << defs.size() << " distinct";
  }

private:
  /// A definition of the kernel's region (a copy: the kernel is only erased when its launch stands).
  static KernelDefOp makeDef(KernelOp kernel, StringRef name) {
    OpBuilder builder(kernel.getContext());
    auto type = builder.getFunctionType(TypeRange(kernel.getInputs()), TypeRange(kernel.getOutputs()));
    auto def = KernelDefOp::create(builder, kernel.getLoc(), name, type, ArrayAttr(), ArrayAttr());
    IRMapping map;
    kernel.getBody().cloneInto(&def.getBody(), map);
    Operation *yield = def.getBody().front().getTerminator();
    builder.setInsertionPoint(yield);
    ReturnOp::create(builder, yield->getLoc(), yield->getOperands());
    yield->erase();
    return def;
  }
};

} // namespace
} // namespace qlr
