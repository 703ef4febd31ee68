// The target emulator:sm_NN: lowered kernels -> the shared object that runtime/emulator runs.
#ifndef QLR_CODEGEN_NVPTX_EMULATEDKERNELS_H
#define QLR_CODEGEN_NVPTX_EMULATEDKERNELS_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace qlr {

/// Compiles kernels, the device IR of compute capability `sm` (times ten), on all cores and links them.
/// Two hidden options serve the tests: --emulator-mutation plants a fault (codegen/emulator/Mutation.h), and
/// --emulator-objects DIR keeps every kernel's object there, by a hash of the kernel, and takes what it finds.
/// Failure after a diagnostic.
mlir::LogicalResult compileEmulated(llvm::ArrayRef<mlir::gpu::GPUModuleOp> kernels, unsigned sm,
                                    llvm::SmallVectorImpl<char> &library);

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_EMULATEDKERNELS_H
