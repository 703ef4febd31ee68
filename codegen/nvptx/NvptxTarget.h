// The targets sm_NN, which give PTX, and emulator:sm_NN, which compile the same device code for the host.
#ifndef QLR_CODEGEN_NVPTX_NVPTXTARGET_H
#define QLR_CODEGEN_NVPTX_NVPTXTARGET_H

#include "codegen/Target.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace qlr {

class NvptxTarget : public Target {
public:
  explicit NvptxTarget(unsigned sm, bool emulated)
      : sm(sm), emulated(emulated), fullName((emulated ? "emulator:sm_" : "sm_") + std::to_string(sm)) {}

  llvm::StringRef name() const override { return fullName; }
  void setPlanOptions(PlanOptions &options) const override;
  mlir::LogicalResult compile(mlir::ModuleOp planned, Plan &plan, llvm::SmallVectorImpl<char> &code) const override;
  mlir::LogicalResult print(mlir::ModuleOp planned, Emit what, llvm::raw_ostream &out) const override;

private:
  const unsigned sm; ///< compute capability times ten
  const bool emulated;
  const std::string fullName;
};

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_NVPTXTARGET_H
