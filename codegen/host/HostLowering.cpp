// One host function per stage and CPU level.
#include "codegen/host/HostLowering.h"

#include "codegen/host/StageEmitter.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_LOWERTOHOSTPASS
#include "codegen/host/HostPasses.h.inc"

std::string stageSymbol(llvm::StringRef kernel, unsigned stage) { return (kernel + "_s" + llvm::Twine(stage)).str(); }

static void setTarget(LLVM::LLVMFuncOp function, CpuLevel level) {
  MLIRContext *context = function.getContext();
  if (level == CpuLevel::Avx2) {
    function.setTargetCpuAttr(StringAttr::get(context, "x86-64-v3"));
  } else {
    // x86-64-v4 lacks the two extensions the decoders are built on.
    function.setTargetCpuAttr(StringAttr::get(context, "x86-64-v4"));
    function.setTargetFeaturesAttr(
        LLVM::TargetFeaturesAttr::get(context, {llvm::StringRef("+avx512vbmi"), llvm::StringRef("+avx512vnni")}));
  }
  // Without it loops that store zeros become calls of memset, which the object does not have.
  function.setPassthroughAttr(
      ArrayAttr::get(context, {StringAttr::get(context, "no-builtins"), StringAttr::get(context, "nounwind")}));
}

static LogicalResult lowerStage(ModuleOp module, StageOp stage, const KernelArguments &arguments,
                                llvm::StringRef symbol, CpuLevel level) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  HostEmitter e(stage.getLoc(), builder, level);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(module.getContext()), {e.ptr(), e.i64(), e.i64()});
  e.b.setInsertionPointToEnd(module.getBody());
  auto function = LLVM::LLVMFuncOp::create(e.b, (symbol + "_" + levelSuffix(level)).str(), type);
  setTarget(function, level);
  Block *entry = function.addEntryBlock(e.b);
  e.entry = entry;
  e.b.setInsertionPointToStart(entry);
  auto end = LLVM::ReturnOp::create(e.b, ValueRange());
  e.b.setInsertionPoint(end);
  StageEmitter emitter(e, stage, arguments, entry->getArgument(0));
  return emitter.emit(entry->getArgument(1), entry->getArgument(2));
}

static LogicalResult lowerKernelsToHost(ModuleOp module, llvm::ArrayRef<CpuLevel> levels) {
  SmallVector<Operation *> old = llvm::to_vector(llvm::make_pointer_range(module.getBody()->getOperations()));
  for (Operation *op : old) {
    auto kernel = dyn_cast<KernelDefOp>(op);
    if (!kernel)
      continue;
    KernelArguments arguments(kernel);
    unsigned index = 0;
    for (auto stage : kernel.getBody().front().getOps<StageOp>()) {
      std::string symbol = stageSymbol(kernel.getSymName(), index++);
      for (CpuLevel level : levels)
        if (failed(lowerStage(module, stage, arguments, symbol, level)))
          return failure();
    }
  }
  for (Operation *op : llvm::reverse(old))
    op->erase();
  return success();
}

namespace {
struct LowerToHostPass : impl::LowerToHostPassBase<LowerToHostPass> {
  using LowerToHostPassBase::LowerToHostPassBase;

  void runOnOperation() override {
    SmallVector<CpuLevel> chosen;
    for (const std::string &name : levels) {
      const CpuLevel *level = llvm::find_if(kCpuLevels, [&](CpuLevel one) { return levelSuffix(one) == name; });
      if (level == std::end(kCpuLevels)) {
        getOperation().emitError() << "qlr-lower-to-host: expects levels among avx2 and avx512, got " << name;
        return signalPassFailure();
      }
      chosen.push_back(*level);
    }
    if (chosen.empty())
      chosen.append(std::begin(kCpuLevels), std::end(kCpuLevels));
    if (failed(lowerKernelsToHost(getOperation(), chosen)))
      signalPassFailure();
  }
};
} // namespace

void registerHostPipelines() {
  PassPipelineRegistration<>("qlr-host-to-llvm", "functions of qlr-lower-to-host to the llvm dialect",
                             buildHostToLlvmPipeline);
}

void buildHostToLlvmPipeline(OpPassManager &pm) {
  // Kernel by kernel, so on all cores.
  OpPassManager &kernels = pm.nest<LLVM::LLVMFuncOp>();
  // Upstream's canonicalizer folds the emitted constant index arithmetic before it reaches LLVM. Blocks and arguments
  // of regions have nothing to simplify, and looking for it takes most of its time.
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  kernels.addPass(createCanonicalizerPass(config));
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertVectorToLLVMPass());
  kernels.addPass(createConvertMathToLLVMPass());
  kernels.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass()); // takes nothing but a builtin module
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

} // namespace qlr
