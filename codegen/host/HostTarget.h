// The host CPU: an ELF shared object with every kernel for AVX2 and for AVX-512.
#ifndef QLR_CODEGEN_HOST_HOSTTARGET_H
#define QLR_CODEGEN_HOST_HOSTTARGET_H

#include "codegen/Target.h"

namespace qlr {

class HostTarget : public Target {
public:
  llvm::StringRef name() const override { return "host"; }
  mlir::LogicalResult compile(mlir::ModuleOp planned, Plan &plan, llvm::SmallVectorImpl<char> &code) const override;
  mlir::LogicalResult print(mlir::ModuleOp planned, Emit what, llvm::raw_ostream &out) const override;
};

} // namespace qlr

#endif // QLR_CODEGEN_HOST_HOSTTARGET_H
