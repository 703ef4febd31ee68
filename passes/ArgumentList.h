// The run-time arguments of a kernel, in the order its code and its launches agree on.
#ifndef QLR_PASSES_ARGUMENTLIST_H
#define QLR_PASSES_ARGUMENTLIST_H

#include "dialect/Qlr.h"

namespace qlr {

/// Values of a staged kernel that have an address: first the block arguments (a weight stands for its components), then
/// results, then what crosses stages. Caches that a kernel returns are their arguments' memory and appear once.
struct ArgumentList {
  explicit ArgumentList(KernelDefOp kernel);

  llvm::SmallVector<mlir::Value> arguments;
  llvm::SmallVector<mlir::Value> results;
  llvm::SmallVector<mlir::Value> temporaries;
  /// Then, where `qlr-plan-sync` asked for them: memory for partial results, and counters.
  bool hasPartials = false, hasSync = false;

  /// Number of run-time arguments, weights expanded.
  int64_t size() const;
};

/// The argument whose memory a returned value is: of a cache the one it was appended to, of anything else itself. Null
/// when the value has memory of its own.
mlir::BlockArgument argumentBehind(mlir::Value value);

} // namespace qlr

#endif // QLR_PASSES_ARGUMENTLIST_H
