// Planned qlr kernels -> host functions in the llvm dialect.
#ifndef QLR_CODEGEN_HOST_HOSTLOWERING_H
#define QLR_CODEGEN_HOST_HOSTLOWERING_H

#include "codegen/host/HostEmitter.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

namespace qlr {

/// Replaces every qlr.kernel_def of `module` by one llvm.func per stage and CPU level, `<kernel>_s<stage>_<level>`, of the
/// plan's kernel ABI, and erases everything else. The bodies still hold scf, arith, math and vector ops. Diagnoses and
/// fails on ops without a host lowering.
mlir::LogicalResult lowerKernelsToHost(mlir::ModuleOp module, llvm::ArrayRef<CpuLevel> levels);

/// Brings the functions of `lowerKernelsToHost` to the llvm dialect alone.
void buildHostToLlvmPipeline(mlir::OpPassManager &pm);

/// Name of the function of stage `stage` of kernel `kernel`, without the level.
std::string stageSymbol(llvm::StringRef kernel, unsigned stage);

} // namespace qlr

#endif // QLR_CODEGEN_HOST_HOSTLOWERING_H
