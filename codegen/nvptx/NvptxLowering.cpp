// One gpu.module per kernel: a loop over the items of all its stages.
#include "codegen/nvptx/NvptxLowering.h"

#include "codegen/nvptx/GpuStage.h"
#include "passes/ArgumentList.h"
#include "passes/SplitPlan.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_LOWERTONVPTXPASS
#include "codegen/nvptx/NvptxPasses.h.inc"

std::optional<unsigned> parseChip(StringRef chip) {
  unsigned number;
  if (!chip.consume_front("sm_") || chip.getAsInteger(10, number) || number < 80)
    return std::nullopt;
  return number;
}

namespace {

/// The stages of a kernel, numbered, with the counters and memory each may use.
struct StageSlot {
  StageOp stage;
  int64_t items;
  SplitPlan split;
  int64_t firstArrival, partialOffset;
};

SmallVector<StageSlot> slotsOf(KernelDefOp kernel) {
  SmallVector<StageSlot> slots;
  int64_t arrivals = 0, partials = 0;
  for (auto stage : kernel.getBody().front().getOps<StageOp>()) {
    SplitPlan split = splitPlan(stage);
    slots.push_back({stage, gpuItems(stage), split, arrivals, partials});
    arrivals += split.arrivals;
    partials += split.partialBytes;
  }
  return slots;
}

/// Whether a stage multiplies more than 8 tokens, in blocks of them (GpuBlockMma.cpp).
bool hasManyTokens(KernelDefOp kernel) {
  bool found = false;
  kernel.walk([&](Operation *op) {
    found |= isa<MatmulOp, ProjectOp>(op) && cast<RankedTensorType>(op->getResult(0).getType()).getDimSize(0) > 8;
  });
  return found;
}

LLVM::LLVMFuncOp makeFunction(OpBuilder &builder, KernelDefOp kernel, int64_t arguments) {
  Location loc = kernel.getLoc();
  MLIRContext *context = kernel.getContext();
  auto module = gpu::GPUModuleOp::create(builder, loc, kernel.getSymName());
  OpBuilder inside = OpBuilder::atBlockBegin(module.getBody());
  auto bytes = LLVM::LLVMArrayType::get(inside.getI8Type(), 0);
  LLVM::GlobalOp::create(inside, loc, bytes, /*isConstant=*/false, LLVM::Linkage::External, kSharedSymbol, Attribute(),
                         /*alignment=*/16, /*addrSpace=*/3);
  SmallVector<Type> inputs(arguments, LLVM::LLVMPointerType::get(context, 1));
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), inputs);
  auto function = LLVM::LLVMFuncOp::create(inside, loc, kernel.getSymName(), type);
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), inside.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(), inside.getDenseI32ArrayAttr({int32_t(kBlockThreads)}));
  // By itself ptxas aims at two resident blocks of 128 registers a thread and spills some sums to get there. Told that
  // one block is enough it holds all of them; but not in products of many tokens, where it then hoists more than it can
  // hold.
  if (!hasManyTokens(kernel))
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), inside.getI32IntegerAttr(1));
  return function;
}

class KernelLowering {
public:
  KernelLowering(KernelDefOp kernel, unsigned sm) : kernel(kernel), sm(sm), slots(slotsOf(kernel)) {}

  LogicalResult run(OpBuilder &builder) {
    ArgumentList list(kernel);
    const int64_t count = list.size();
    if (needsSync() != list.hasSync || needsPartials() != list.hasPartials)
      return kernel.emitOpError("was not planned for a GPU: run qlr-plan-sync before qlr-plan-buffers");
    LLVM::LLVMFuncOp function = makeFunction(builder, kernel, count);
    Block *entry = function.addEntryBlock(builder);
    GpuEmitter e(kernel.getLoc(), builder, sm, kBlockThreads);
    e.entry = entry;
    e.b.setInsertionPointToStart(entry);
    auto end = LLVM::ReturnOp::create(e.b, ValueRange());
    e.b.setInsertionPoint(end);
    Value area = list.hasSync ? entry->getArgument(count - 1) : Value();
    Value partials = list.hasPartials ? entry->getArgument(count - 1 - list.hasSync) : Value();
    KernelSync sync(e, area, partials, slots.size());

    KernelArguments arguments(kernel);
    DecoderCache decoders;
    std::vector<std::unique_ptr<GpuStage>> stages;
    for (StageSlot &slot : slots) {
      stages.push_back(std::make_unique<GpuStage>(e, slot.stage, arguments, sync, decoders));
      if (failed(stages.back()->prepare()))
        return failure();
    }
    if (e.sharedBytes())
      e.barrier(); // tables are complete
    // Tables are made of constants; everything else may be what the launch before writes.
    if (sm >= 90) {
      e.intrinsic("llvm.nvvm.griddepcontrol.launch.dependents", ValueRange());
      e.intrinsic("llvm.nvvm.griddepcontrol.wait", ValueRange());
    }
    int64_t total = 0;
    for (StageSlot &slot : slots)
      total += slot.items;
    LogicalResult status = success();
    sync.forItems(total, [&](Value item) { status = emitItem(e, sync, stages, item, 0, 0); });
    if (e.sharedBytes() > maxSharedBytes(sm))
      return kernel.emitOpError("takes ") << e.sharedBytes() << " bytes of shared memory a block, sm_" << sm << " has "
                                          << maxSharedBytes(sm) << ": choose a way to decode with smaller tables";
    OpBuilder attributes(kernel.getContext());
    function->setAttr("qlr.items", attributes.getI64IntegerAttr(total));
    function->setAttr("qlr.threads", attributes.getI64IntegerAttr(kBlockThreads));
    function->setAttr("qlr.shared_bytes", attributes.getI64IntegerAttr((e.sharedBytes() + 15) / 16 * 16));
    return status;
  }

private:
  bool needsSync() const {
    return slots.size() > 1 || llvm::any_of(slots, [](const StageSlot &slot) { return slot.split.splits > 1; });
  }
  bool needsPartials() const {
    return llvm::any_of(slots, [](const StageSlot &slot) { return slot.split.splits > 1; });
  }

  /// Item `item` of the stages from `index` on, whose first item has number `begin`.
  LogicalResult emitItem(GpuEmitter &e, KernelSync &sync, ArrayRef<std::unique_ptr<GpuStage>> stages, Value item,
                         size_t index, int64_t begin) {
    LogicalResult status = success();
    auto own = [&] {
      sync.enterStage(slots[index].firstArrival, slots[index].partialOffset);
      status = stages[index]->emitItem(e.add(item, -begin));
      if (index + 1 < slots.size())
        sync.finishItem(index);
    };
    const int64_t end = begin + slots[index].items;
    if (index + 1 == slots.size()) {
      own();
      return status;
    }
    LogicalResult rest = success();
    e.ifElse(e.ult(item, end), own, [&] { rest = emitItem(e, sync, stages, item, index + 1, end); });
    return success(succeeded(status) && succeeded(rest));
  }

  KernelDefOp kernel;
  const unsigned sm;
  SmallVector<StageSlot> slots;
};

struct LowerToNvptxPass : impl::LowerToNvptxPassBase<LowerToNvptxPass> {
  using LowerToNvptxPassBase::LowerToNvptxPassBase;

  void runOnOperation() override {
    std::optional<unsigned> sm = parseChip(chip);
    if (!sm) {
      getOperation().emitError() << "expects a chip such as sm_86, not below sm_80, got " << chip;
      return signalPassFailure();
    }
    ModuleOp module = getOperation();
    module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(), UnitAttr::get(&getContext()));
    SmallVector<Operation *> old = llvm::to_vector(llvm::make_pointer_range(module.getBody()->getOperations()));
    for (Operation *op : old) {
      auto kernel = dyn_cast<KernelDefOp>(op);
      if (!kernel)
        continue;
      OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
      if (failed(KernelLowering(kernel, *sm).run(builder)))
        return signalPassFailure();
    }
    for (Operation *op : llvm::reverse(old))
      op->erase();
  }
};

} // namespace

void registerNvptxPasses() {
  registerPass([] { return createLowerToNvptxPass(); });
  PassPipelineRegistration<>("qlr-nvptx-to-llvm", "functions of qlr-lower-to-nvptx to the llvm dialect",
                             buildNvptxToLlvmPipeline);
}

void buildNvptxToLlvmPipeline(OpPassManager &pm) {
  // Kernel by kernel, so on all cores.
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  // Blocks and arguments of regions have nothing to simplify, and looking for it takes most of the canonicalizer's
  // time.
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  kernels.addPass(createCanonicalizerPass(config));
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertMathToLLVMPass());
  kernels.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertControlFlowToLLVMPass()); // takes nothing but a builtin module
  pm.addNestedPass<gpu::GPUModuleOp>(createReconcileUnrealizedCastsPass());
}

} // namespace qlr
