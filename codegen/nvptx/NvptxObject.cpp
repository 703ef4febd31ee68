// Optimization and code generation of NvptxObject.h.
#include "codegen/nvptx/NvptxObject.h"

#include "codegen/LlvmAnalyses.h"
#include "codegen/nvptx/Snippets.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/DCE.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

namespace qlr {
namespace {

constexpr const char *kTriple = "nvptx64-nvidia-cuda";

/// The lowest version that knows the chip (LLVM's own default for it) and every snippet.
unsigned ptxVersion(unsigned sm) {
  unsigned version = sm >= 90 ? 78 : sm >= 87 ? 74 : sm >= 86 ? 71 : 70;
  for (const Snippet &snippet : kSnippets)
    version = std::max(version, snippet.ptxVersion);
  return version;
}

std::unique_ptr<llvm::TargetMachine> targetMachine(unsigned sm, std::string &error) {
  static const bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple(kTriple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, "sm_" + std::to_string(sm), "+ptx" + std::to_string(ptxVersion(sm)), llvm::TargetOptions(),
      llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

/// Simplifies. No loop passes: hoisted addresses and unrolled epilogues cost registers that sums need (prefill kernels
/// spill after -O2), and ptxas hoists and unrolls with the register file in view.
void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::DCEPass());
  llvm::ModulePassManager all;
  all.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(passes)));
  all.run(module, LlvmAnalyses(builder).get());
}

} // namespace

std::unique_ptr<llvm::Module> translateToDeviceIr(mlir::gpu::GPUModuleOp module, unsigned sm,
                                                  llvm::LLVMContext &context) {
  std::unique_ptr<llvm::Module> ir = mlir::translateModuleToLLVMIR(module, context, module.getName());
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = ir ? targetMachine(sm, error) : nullptr;
  if (!machine) {
    module.emitError() << (error.empty() ? "translation to LLVM IR failed" : error);
    return nullptr;
  }
  ir->setTargetTriple(llvm::Triple(kTriple));
  ir->setDataLayout(machine->createDataLayout());
  optimize(*ir, *machine);
  return ir;
}

bool emitPtx(llvm::Module &module, unsigned sm, llvm::SmallVectorImpl<char> &ptx, std::string &error) {
  std::unique_ptr<llvm::TargetMachine> machine = targetMachine(sm, error);
  if (!machine)
    return false;
  llvm::raw_svector_ostream out(ptx);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, out, nullptr, llvm::CodeGenFileType::AssemblyFile)) {
    error = "the NVPTX backend cannot write PTX";
    return false;
  }
  passes.run(module);
  return true;
}

} // namespace qlr
