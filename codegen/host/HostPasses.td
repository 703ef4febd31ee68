// Passes of the host target.
#ifndef QLR_CODEGEN_HOST_HOSTPASSES_TD
#define QLR_CODEGEN_HOST_HOSTPASSES_TD

include "mlir/Pass/PassBase.td"

def LowerToHostPass : Pass<"qlr-lower-to-host", "::mlir::ModuleOp"> {
  let summary = "Lower staged kernels to functions over vectors";
  let description = [{
    Every stage of every `qlr.kernel_def` becomes one `llvm.func` per CPU level,
    `<kernel>_s<stage>_<level>`, that does items [begin, end) of the stage on the
    memory its argument array points to. A product decodes and multiplies in one
    pass over the tiles; elementwise ops are computed where they are read or
    written. Everything else of the module is erased. Kernels must be staged, and
    their stages over strips have variants. The bodies still hold scf, arith, math
    and vector ops, which the pipeline `qlr-host-to-llvm` lowers.
  }];
  let options = [ListOption<"levels", "levels", "std::string", "CPU levels: avx2, avx512; default both">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // QLR_CODEGEN_HOST_HOSTPASSES_TD
