// What a user says on the command line about running passes.
#ifndef QLR_CODEGEN_PASSOPTIONS_H
#define QLR_CODEGEN_PASSOPTIONS_H

#include "mlir/Pass/PassManager.h"

namespace qlr {

/// MLIR's own options (--mlir-print-ir-after-all, --mlir-timing, ...) hold for `passes`, where the program has
/// registered them. Fails with a message on stderr when they contradict each other.
inline llvm::LogicalResult applyPassOptions(mlir::PassManager &passes) {
  mlir::applyDefaultTimingPassManagerCLOptions(passes);
  return mlir::applyPassManagerCLOptions(passes);
}

} // namespace qlr

#endif // QLR_CODEGEN_PASSOPTIONS_H
