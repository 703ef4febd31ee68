// Code generation for x86-64 through LLVM's backend and lld.
#include "codegen/host/HostObject.h"

#include "codegen/LlvmAnalyses.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

namespace qlr {
namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";

std::unique_ptr<llvm::TargetMachine> targetMachine(llvm::CodeGenOptLevel level, std::string &error) {
  static const bool initialized = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple(kTriple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  // The CPU is an attribute of every function; the machine's own is the baseline.
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, "x86-64-v3", "", llvm::TargetOptions(), llvm::Reloc::PIC_, std::nullopt, level));
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  // The kernels are vectorized and unrolled as they should be.
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(&machine, tuning);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, LlvmAnalyses(builder).get());
}

} // namespace

std::unique_ptr<llvm::Module> translateToHostIr(mlir::ModuleOp module, llvm::LLVMContext &context) {
  mlir::registerBuiltinDialectTranslation(*module.getContext());
  mlir::registerLLVMDialectTranslation(*module.getContext());
  std::unique_ptr<llvm::Module> ir = mlir::translateModuleToLLVMIR(module, context);
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = ir ? targetMachine(llvm::CodeGenOptLevel::Aggressive, error) : nullptr;
  if (!machine) {
    if (!error.empty())
      module.emitError() << error;
    return nullptr;
  }
  ir->setTargetTriple(llvm::Triple(kTriple));
  ir->setDataLayout(machine->createDataLayout());
  optimize(*ir, *machine);
  return ir;
}

bool emitHostCode(llvm::Module &module, HostOutput output, llvm::SmallVectorImpl<char> &code, std::string &error,
                  llvm::CodeGenOptLevel level) {
  std::unique_ptr<llvm::TargetMachine> machine = targetMachine(level, error);
  if (!machine)
    return false;
  llvm::raw_svector_ostream stream(code);
  llvm::legacy::PassManager passes;
  auto type = output == HostOutput::Assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, type)) {
    error = "the x86-64 backend cannot emit this kind of file";
    return false;
  }
  passes.run(module);
  return true;
}

bool linkHostLibrary(llvm::ArrayRef<llvm::SmallVector<char, 0>> objects, llvm::SmallVectorImpl<char> &library,
                     std::string &error) {
  llvm::ErrorOr<std::string> linker = llvm::sys::findProgramByName("ld.lld", {QLR_LLD_DIR});
  if (!linker)
    linker = llvm::sys::findProgramByName("ld.lld");
  if (!linker) {
    error = "ld.lld not found; install the package lld-22";
    return false;
  }
  llvm::SmallString<128> folder;
  if (std::error_code code = llvm::sys::fs::createUniqueDirectory("qlr-link", folder)) {
    error = "cannot create a temporary folder: " + code.message();
    return false;
  }
  std::string output = (folder + "/kernels.so").str(), log = (folder + "/log").str();
  std::vector<std::string> arguments = {*linker, "-shared", "--no-undefined", "-z", "now", "--strip-all", "-o", output};
  bool written = true;
  for (auto [i, object] : llvm::enumerate(objects)) {
    std::string path = (folder + "/" + llvm::Twine(i) + ".o").str();
    std::error_code code;
    llvm::raw_fd_ostream file(path, code);
    file.write(object.data(), object.size());
    file.close();
    written &= !code && !file.has_error();
    file.clear_error();
    arguments.push_back(path);
  }
  std::vector<llvm::StringRef> references(arguments.begin(), arguments.end());
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(log), llvm::StringRef(log)};
  bool linked = written && llvm::sys::ExecuteAndWait(*linker, references, std::nullopt, redirects, 0, 0, &error) == 0;
  if (!linked) {
    if (auto text = llvm::MemoryBuffer::getFile(log))
      error += (*text)->getBuffer();
    error = "linking the kernels failed: " + error;
  } else if (auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false)) {
    library.assign((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
  } else {
    error = "cannot read " + output;
    linked = false;
  }
  llvm::sys::fs::remove_directories(folder);
  return linked;
}

} // namespace qlr
