// From staged kernels to GPU functions in the llvm dialect.
#ifndef QLR_CODEGEN_NVPTX_NVPTXLOWERING_H
#define QLR_CODEGEN_NVPTX_NVPTXLOWERING_H

#include "mlir/Pass/Pass.h"

#include <memory>
#include <optional>
#include <string>

namespace mlir {
class OpPassManager;
}

namespace qlr {

/// Compute capability times ten of "sm_86"; nothing for what is no such name.
std::optional<unsigned> parseChip(llvm::StringRef chip);

#define GEN_PASS_DECL
#include "codegen/nvptx/NvptxPasses.h.inc"

void registerNvptxPasses();

/// From the emitted scf/arith/math to the llvm dialect.
void buildNvptxToLlvmPipeline(mlir::OpPassManager &pm);

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_NVPTXLOWERING_H
