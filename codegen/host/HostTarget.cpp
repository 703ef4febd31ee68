// Drives host code generation; functions are compiled in parallel, their order in the object does not depend on it.
#include "codegen/host/HostTarget.h"

#include "codegen/PassOptions.h"
#include "codegen/host/HostLowering.h"
#include "codegen/host/HostObject.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <thread>

using namespace mlir;

namespace qlr {
namespace {

LogicalResult lower(ModuleOp planned) {
  PassManager passes(planned.getContext());
  if (failed(applyPassOptions(passes)))
    return failure();
  passes.addPass(createLowerToHostPass());
  buildHostToLlvmPipeline(passes);
  if (failed(passes.run(planned)))
    return failure();
  registerBuiltinDialectTranslation(*planned.getContext());
  registerLLVMDialectTranslation(*planned.getContext());
  return success();
}

/// Splits a module of functions into modules of about `perModule` functions, in order.
SmallVector<OwningOpRef<ModuleOp>> split(ModuleOp module, size_t perModule) {
  SmallVector<OwningOpRef<ModuleOp>> parts;
  size_t count = 0;
  for (auto function : llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>())) {
    if (count++ % perModule == 0)
      parts.push_back(ModuleOp::create(module.getLoc()));
    function->moveBefore(parts.back()->getBody(), parts.back()->getBody()->end());
  }
  return parts;
}

} // namespace

LogicalResult HostTarget::compile(ModuleOp planned, Plan &plan, llvm::SmallVectorImpl<char> &code) const {
  plan.target = name().str();
  for (CpuLevel level : kCpuLevels)
    plan.levels.push_back(levelSuffix(level).str());
  if (failed(lower(planned)))
    return failure();
  // Small modules so that the cores share the work evenly; each has an LLVM context of its own.
  SmallVector<OwningOpRef<ModuleOp>> parts = split(planned, 4);
  std::vector<llvm::SmallVector<char, 0>> objects(parts.size());
  std::vector<std::string> errors(parts.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i; (i = next++) < parts.size();) {
      llvm::LLVMContext context;
      std::unique_ptr<llvm::Module> ir = translateToHostIr(*parts[i], context);
      if (!ir)
        errors[i] = "translation to LLVM IR failed";
      else
        (void)emitHostCode(*ir, HostOutput::Object, objects[i], errors[i]);
      parts[i] = nullptr;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  std::string error;
  for (const std::string &one : errors)
    if (!one.empty())
      return planned.emitError() << one;
  if (!linkHostLibrary(objects, code, error))
    return planned.emitError() << error;
  return success();
}

LogicalResult HostTarget::print(ModuleOp planned, Emit what, llvm::raw_ostream &out) const {
  if (failed(lower(planned)))
    return failure();
  if (what == Emit::Mlir) {
    planned.print(out);
    return success();
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> ir = translateToHostIr(planned, context);
  if (!ir)
    return failure();
  if (what == Emit::Llvm) {
    ir->print(out, nullptr);
    return success();
  }
  llvm::SmallVector<char, 0> text;
  std::string error;
  if (!emitHostCode(*ir, HostOutput::Assembly, text, error))
    return planned.emitError() << error;
  out << llvm::StringRef(text.data(), text.size());
  return success();
}

} // namespace qlr
