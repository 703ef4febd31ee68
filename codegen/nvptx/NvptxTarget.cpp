// Drives GPU code generation; kernels become PTX in parallel, each in an LLVM context of its own.
#include "codegen/nvptx/NvptxTarget.h"

#include "codegen/PassOptions.h"
#include "codegen/emulator/EmulatorObject.h"
#include "codegen/nvptx/EmulatedKernels.h"
#include "codegen/nvptx/NvptxLowering.h"
#include "codegen/nvptx/NvptxObject.h"
#include "passes/Pipelines.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace qlr {
namespace {

LogicalResult lower(ModuleOp planned, const std::string &chip) {
  PassManager passes(planned.getContext());
  if (failed(applyPassOptions(passes)))
    return failure();
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
  if (emulated)
    return compileEmulated(kernels, sm, code);
  std::vector<llvm::SmallVector<char, 0>> texts(kernels.size());
  std::vector<std::string> errors(kernels.size());
  llvm::parallelFor(0, kernels.size(), [&](size_t i) {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> module = translateToDeviceIr(kernels[i], sm, context);
    if (!module)
      errors[i] = "translation to LLVM IR failed";
    else
      (void)emitPtx(*module, sm, texts[i], errors[i]);
  });
  for (auto [kernel, error] : llvm::zip(kernels, errors))
    if (!error.empty())
      return kernel.emitError() << error;
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
