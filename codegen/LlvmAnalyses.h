// The analysis managers that passes on LLVM IR need, each knowing the others.
#ifndef QLR_CODEGEN_LLVMANALYSES_H
#define QLR_CODEGEN_LLVMANALYSES_H

#include "llvm/Analysis/CGSCCPassManager.h"
#include "llvm/Analysis/LoopAnalysisManager.h"
#include "llvm/Passes/PassBuilder.h"

namespace qlr {

class LlvmAnalyses {
public:
  /// `builder` says what the target machine, if it has one, contributes.
  explicit LlvmAnalyses(llvm::PassBuilder &builder) {
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(cgscc);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, cgscc, modules);
  }
  llvm::ModuleAnalysisManager &get() { return modules; }

private:
  // In this order, because they are destroyed in the other: those that refer to others go first.
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager cgscc;
  llvm::ModuleAnalysisManager modules;
};

} // namespace qlr

#endif // QLR_CODEGEN_LLVMANALYSES_H
