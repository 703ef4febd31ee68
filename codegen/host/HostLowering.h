// Planned qlr kernels -> host functions in the llvm dialect.
#ifndef QLR_CODEGEN_HOST_HOSTLOWERING_H
#define QLR_CODEGEN_HOST_HOSTLOWERING_H

#include "codegen/host/HostEmitter.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace qlr {

/// `createLowerToHostPass()` and `registerQlrHostPasses()` are generated.
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "codegen/host/HostPasses.h.inc"

/// Brings the functions of qlr-lower-to-host to the llvm dialect alone; qlr-opt knows it as `qlr-host-to-llvm`.
void buildHostToLlvmPipeline(mlir::OpPassManager &pm);
void registerHostPipelines();

/// Name of the function of stage `stage` of kernel `kernel`, without the level.
std::string stageSymbol(llvm::StringRef kernel, unsigned stage);

} // namespace qlr

#endif // QLR_CODEGEN_HOST_HOSTLOWERING_H
