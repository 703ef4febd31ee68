// Device LLVM IR and PTX through LLVM's NVPTX backend, in process: no CUDA toolkit is needed.
#ifndef QLR_CODEGEN_NVPTX_NVPTXOBJECT_H
#define QLR_CODEGEN_NVPTX_NVPTXOBJECT_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/SmallVector.h"

#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace qlr {

/// LLVM IR of one lowered kernel for compute capability `sm` (times ten), optimized. Null after diagnosing an error.
std::unique_ptr<llvm::Module> translateToDeviceIr(mlir::gpu::GPUModuleOp module, unsigned sm,
                                                  llvm::LLVMContext &context);

/// PTX of such a module, in the lowest version that has what kernels use; `module` is consumed. Returns false and sets
/// `error` on failure.
bool emitPtx(llvm::Module &module, unsigned sm, llvm::SmallVectorImpl<char> &ptx, std::string &error);

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_NVPTXOBJECT_H
