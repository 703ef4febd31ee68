// The order of a kernel's run-time arguments.
#include "passes/ArgumentList.h"

#include "dialect/Layout.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace qlr {

ArgumentList::ArgumentList(KernelDefOp kernel) {
  Block &body = kernel.getBody().front();
  llvm::append_range(arguments, body.getArguments());
  llvm::SetVector<Value> own;
  for (Value result : kernel.getReturn().getValues())
    if (!isa<CacheType>(result.getType()) && !isa<BlockArgument>(result))
      own.insert(result);
  llvm::append_range(results, own);
  for (auto stage : body.getOps<StageOp>())
    for (Value value : stage.getOutputs())
      if (!isa<CacheType>(value.getType()) && !own.contains(value))
        temporaries.push_back(value);
  hasPartials = kernel->hasAttr("qlr.partial_bytes");
  hasSync = kernel->hasAttr("qlr.sync_words");
}

int64_t ArgumentList::size() const {
  int64_t count = results.size() + temporaries.size() + hasPartials + hasSync;
  for (Value argument : arguments) {
    auto weight = dyn_cast<WeightType>(argument.getType());
    count += weight ? weightComponents(weight).size() : 1;
  }
  return count;
}

BlockArgument argumentBehind(Value value) {
  while (!isa<BlockArgument>(value)) {
    Operation *op = value.getDefiningOp();
    if (auto stage = dyn_cast<StageOp>(op)) {
      value = stage.getYield().getOperand(cast<OpResult>(value).getResultNumber());
      continue;
    }
    // An op that makes a cache writes into the cache it was given.
    if (!isa<CacheType>(value.getType()))
      return {};
    auto given = llvm::find_if(op->getOperands(), [](Value v) { return isa<CacheType>(v.getType()); });
    if (given == op->operand_end())
      return {};
    value = *given;
  }
  return cast<BlockArgument>(value);
}

} // namespace qlr
