// LLVM dialect -> LLVM IR -> x86-64 object -> shared object.
#ifndef QLR_CODEGEN_HOST_HOSTOBJECT_H
#define QLR_CODEGEN_HOST_HOSTOBJECT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/CodeGen.h"

#include <memory>
#include <string>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace qlr {

/// Translates a module of llvm.func to optimized LLVM IR for x86-64 Linux. Null with a diagnostic on failure.
std::unique_ptr<llvm::Module> translateToHostIr(mlir::ModuleOp module, llvm::LLVMContext &context);

enum class HostOutput { Assembly, Object };
/// Machine code for `module`: assembly text or a relocatable, position-independent object.
/// `level` trades the backend's time for the code's. On failure returns false and sets `error`.
bool emitHostCode(llvm::Module &module, HostOutput output, llvm::SmallVectorImpl<char> &code, std::string &error,
                  llvm::CodeGenOptLevel level = llvm::CodeGenOptLevel::Aggressive);

/// Links objects into a shared object without undefined symbols, with lld. On failure returns false and sets `error`.
bool linkHostLibrary(llvm::ArrayRef<llvm::SmallVector<char, 0>> objects, llvm::SmallVectorImpl<char> &library,
                     std::string &error);

} // namespace qlr

#endif // QLR_CODEGEN_HOST_HOSTOBJECT_H
