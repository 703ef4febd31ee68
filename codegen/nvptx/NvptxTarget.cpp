// Drives GPU code generation; kernels are compiled in parallel, each in an LLVM context of its own.
#include "codegen/nvptx/NvptxTarget.h"

#include "codegen/emulator/EmulatorObject.h"
#include "codegen/emulator/Mutation.h"
#include "codegen/nvptx/NvptxLowering.h"
#include "codegen/nvptx/NvptxObject.h"
#include "passes/Pipelines.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <thread>

using namespace mlir;

namespace qlr {
namespace {

LogicalResult lower(ModuleOp planned, const std::string &chip) {
  PassManager passes(planned.getContext());
  (void)applyPassManagerCLOptions(passes);
  passes.addPass(createLowerToNvptxPass({chip}));
  buildNvptxToLlvmPipeline(passes);
  if (failed(passes.run(planned)))
    return failure();
  registerBuiltinDialectTranslation(*planned.getContext());
  registerGPUDialectTranslation(*planned.getContext());
  registerLLVMDialectTranslation(*planned.getContext());
  registerNVVMDialectTranslation(*planned.getContext());
  return success();
}

llvm::cl::opt<std::string> mutationOption(
    "emulator-mutation", llvm::cl::Hidden,
    llvm::cl::desc("plant a fault for tests: KERNEL:KIND:NUMBER (codegen/emulator/Mutation.h); says how many places fit"));

/// Plants what --emulator-mutation asks for, if it is in this kernel.
void mutateKernel(llvm::Module &module, StringRef kernel) {
  auto [name, rest] = StringRef(mutationOption).split(':');
  auto [kind, number] = rest.split(':');
  int place = 0;
  if (name != kernel || number.getAsInteger(10, place))
    return;
  llvm::errs() << "mutation " << kind << ": place " << place << " of " << mutate(module, kind.str(), place) << "\n";
}

/// Calls `work` for 0 .. count-1 on all cores.
void inParallel(size_t count, llvm::function_ref<void(size_t)> work) {
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t i; (i = next++) < count;)
      work(i);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(run);
  run();
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace

void NvptxTarget::setPlanOptions(PlanOptions &options) const {
  options.machine = "gpu";
  options.deferNorm = true;
}

LogicalResult NvptxTarget::compile(ModuleOp planned, Plan &plan, llvm::SmallVectorImpl<char> &code) const {
  if (failed(lower(planned, "sm_" + std::to_string(sm))))
    return failure();
  plan.target = fullName;
  SmallVector<gpu::GPUModuleOp> kernels(planned.getOps<gpu::GPUModuleOp>());
  for (auto [kernel, entry] : llvm::zip_equal(kernels, plan.kernels)) {
    assert(kernel.getName() == entry.name && "kernels of plan and module in different orders");
    auto function = *kernel.getOps<LLVM::LLVMFuncOp>().begin();
    auto number = [&](StringRef name) { return function->getAttrOfType<IntegerAttr>(name).getInt(); };
    entry.stages.clear();
    entry.threads = number("qlr.threads");
    entry.sharedBytes = number("qlr.shared_bytes");
    entry.items = number("qlr.items");
  }
  std::vector<std::unique_ptr<llvm::LLVMContext>> contexts(kernels.size());
  std::vector<std::unique_ptr<llvm::Module>> modules(kernels.size());
  std::vector<llvm::SmallVector<char, 0>> texts(kernels.size());
  std::vector<std::string> errors(kernels.size());
  inParallel(kernels.size(), [&](size_t i) {
    contexts[i] = std::make_unique<llvm::LLVMContext>();
    modules[i] = translateToDeviceIr(kernels[i], sm, *contexts[i]);
    if (!modules[i])
      errors[i] = "translation to LLVM IR failed";
    else if (emulated)
      mutateKernel(*modules[i], kernels[i].getName());
    else
      (void)emitPtx(*modules[i], sm, texts[i], errors[i]);
  });
  for (auto [kernel, error] : llvm::zip(kernels, errors))
    if (!error.empty())
      return kernel.emitError() << error;
  if (emulated) {
    std::string error;
    if (!emulateModules(modules, EmulatorOptions(), code, error))
      return planned.emitError() << error;
    return success();
  }
  // One text per kernel, in the plan's order, each with its terminating zero.
  for (const llvm::SmallVector<char, 0> &text : texts) {
    code.append(text.begin(), text.end());
    code.push_back('\0');
  }
  return success();
}

LogicalResult NvptxTarget::print(ModuleOp planned, Emit what, llvm::raw_ostream &out) const {
  if (failed(lower(planned, "sm_" + std::to_string(sm))))
    return failure();
  if (what == Emit::Mlir) {
    planned.print(out);
    return success();
  }
  for (auto kernel : planned.getOps<gpu::GPUModuleOp>()) {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> ir = translateToDeviceIr(kernel, sm, context);
    if (!ir)
      return failure();
    std::string error;
    if (what != Emit::Llvm) {
      llvm::SmallVector<char, 0> text;
      if (!emitPtx(*ir, sm, text, error))
        return kernel.emitError() << error;
      out << llvm::StringRef(text.data(), text.size());
      continue;
    }
    if (emulated && !lowerToEmulator(*ir, EmulatorOptions(), error))
      return kernel.emitError() << error;
    ir->print(out, nullptr);
  }
  return success();
}

} // namespace qlr
