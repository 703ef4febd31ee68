// Passes of the GPU targets.
#ifndef QLR_CODEGEN_NVPTX_NVPTXPASSES_TD
#define QLR_CODEGEN_NVPTX_NVPTXPASSES_TD

include "mlir/Pass/PassBase.td"

def LowerToNvptxPass : Pass<"qlr-lower-to-nvptx", "::mlir::ModuleOp"> {
  let summary = "Lower staged kernels to GPU functions";
  let description = [{
    Every `qlr.kernel_def` becomes one `gpu.module` with one kernel function of its
    name: a launch of any number of blocks, which claim the items of its stages
    through a ticket counter and wait only for items claimed before. Its arguments are
    one global pointer each, in the order of launches. Everything else of the module is
    erased. Kernels must be staged, with the variants and counters of `machine=gpu`.
    The function's `qlr.items`, `qlr.shared_bytes` and `qlr.threads` say how to launch
    it. Bodies hold scf, arith, math, nvvm and llvm ops, which the pipeline
    `qlr-nvptx-to-llvm` lowers.
  }];
  let options = [Option<"chip", "chip", "std::string", "\"sm_86\"", "compute capability: sm_80, sm_86, sm_90, ...">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::gpu::GPUDialect", "::mlir::NVVM::NVVMDialect"];
}

#endif // QLR_CODEGEN_NVPTX_NVPTXPASSES_TD
