// Which run-time argument holds a value of a staged kernel: the same for every target.
#ifndef QLR_CODEGEN_KERNELARGUMENTS_H
#define QLR_CODEGEN_KERNELARGUMENTS_H

#include "dialect/Qlr.h"

#include "llvm/ADT/DenseMap.h"

namespace qlr {

/// Positions in a kernel's run-time argument array, in the order of passes/ArgumentList.h.
class KernelArguments {
public:
  explicit KernelArguments(KernelDefOp kernel);

  /// The argument that holds `value`; a weight's first component. None for values that stay inside a stage.
  std::optional<int64_t> find(mlir::Value value) const;

private:
  llvm::DenseMap<mlir::Value, int64_t> index;
};

} // namespace qlr

#endif // QLR_CODEGEN_KERNELARGUMENTS_H
