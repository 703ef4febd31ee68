// qlr-plan-buffers: every value gets an address.
#include "dialect/Layout.h"
#include "passes/ArgumentList.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "qlr-plan-buffers"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_PLANBUFFERSPASS
#include "passes/Passes.h.inc"

namespace {

// The state arena: the position, then room for the token ids (runtime/format/Plan.h).
constexpr int64_t kPositionOffset = 0;
constexpr int64_t kIdsOffset = 64;

/// Hands out ranges of one arena; ranges given back are used again, lowest address first.
class Workspace {
public:
  int64_t take(int64_t bytes) {
    int64_t at = 0;
    for (auto &[begin, end] : used) {
      if (begin - at >= bytes)
        break;
      at = std::max(at, end);
    }
    used[at] = at + bytes;
    size = std::max(size, at + bytes);
    return at;
  }
  void giveBack(int64_t begin) { used.erase(begin); }
  int64_t getSize() const { return size; }

private:
  std::map<int64_t, int64_t> used; // begin -> end
  int64_t size = 0;
};

/// Bytes a kernel reads of argument `weight`: all of it, or of rows that are looked up as many as there are tokens.
int64_t bytesRead(BlockArgument weight) {
  auto type = cast<WeightType>(weight.getType());
  int64_t tokens = 0;
  bool whole = weight.use_empty();
  for (Operation *user : weight.getUsers()) {
    auto staged = dyn_cast<StagedOpInterface>(user);
    if (staged && staged.getDomain() == Domain::tokens)
      tokens = std::max(tokens, staged.getUnits());
    else
      whole = true;
  }
  return whole ? weightBytes(type) : tokens * type.getColumns() * type.getQ().getBits() / 8;
}

/// Plans one function.
class FunctionPlanner {
public:
  /// `syncBytes`: the beginning of the workspace that every function leaves to the kernels' counters, so that they stay
  /// zero from one launch to the next, whatever function it belongs to.
  FunctionPlanner(func::FuncOp func, SymbolTable &symbols, int64_t syncBytes) : func(func), symbols(symbols) {
    if (syncBytes)
      workspace.take(syncBytes);
  }

  LogicalResult run() {
    SmallVector<LaunchOp> launches = llvm::to_vector(func.getOps<LaunchOp>());
    for (auto [index, launch] : llvm::enumerate(launches))
      order[launch] = index;
    for (auto [index, launch] : llvm::enumerate(launches)) {
      if (failed(plan(launch, index)))
        return failure();
      giveBackAfter(index);
    }
    Builder builder(func.getContext());
    Operation *end = func.front().getTerminator();
    if (end->getNumOperands() != 1)
      return func.emitOpError("expects to return the logits");
    auto logits = offsets.find(end->getOperand(0));
    if (logits == offsets.end())
      return func.emitOpError("expects to return the result of a launch");
    func->setAttr("qlr.logits_offset", builder.getI64IntegerAttr(logits->second));
    func->setAttr("qlr.workspace_bytes", builder.getI64IntegerAttr(workspace.getSize()));
    LDBG() << func.getSymName() << ": " << launches.size() << " launches, workspace " << workspace.getSize();
    return success();
  }

private:
  LogicalResult plan(LaunchOp launch, size_t index) {
    auto kernel = symbols.lookup<KernelDefOp>(launch.getKernel());
    ArgumentList list(kernel);
    SmallVector<Attribute> args;
    int64_t weightBytes = 0;
    for (auto [operand, argument] : llvm::zip(launch.getInputs(), list.arguments)) {
      if (failed(addArgument(launch, operand, args)))
        return failure();
      if (isa<WeightType>(argument.getType()))
        weightBytes += bytesRead(cast<BlockArgument>(argument));
    }
    auto add = [&](ArgKind kind, int64_t offset) { args.push_back(ArgAttr::get(func.getContext(), kind, offset)); };
    // Results that are arguments' memory need none; a value returned twice has one buffer.
    llvm::DenseMap<Value, int64_t> resultOffsets;
    for (Value result : list.results)
      resultOffsets[result] = workspace.take(bufferBytes(result.getType()));
    for (auto [value, output] : llvm::zip(kernel.getReturn().getValues(), launch.getOutputs())) {
      if (BlockArgument behind = argumentBehind(value))
        alias[output] = launch.getInputs()[behind.getArgNumber()];
      else if (auto found = resultOffsets.find(value); found != resultOffsets.end())
        offsets[output] = found->second;
      else
        return launch.emitOpError("returns a cache that is not one of its operands");
    }
    for (Value result : list.results) {
      add(ArgKind::scratch, resultOffsets[result]);
      live.push_back({resultOffsets[result], lastUse(launch, kernel, result, index)});
    }
    for (Value temporary : list.temporaries) {
      int64_t offset = workspace.take(bufferBytes(temporary.getType()));
      add(ArgKind::scratch, offset);
      live.push_back({offset, index});
    }
    if (auto bytes = kernel->getAttrOfType<IntegerAttr>("qlr.partial_bytes")) {
      int64_t offset = workspace.take(alignTo64(bytes.getInt()));
      add(ArgKind::scratch, offset);
      live.push_back({offset, index});
    }
    if (kernel->hasAttr("qlr.sync_words"))
      add(ArgKind::scratch, 0);
    Builder builder(func.getContext());
    launch.setArgsAttr(builder.getArrayAttr(args));
    launch.setWeightBytesAttr(builder.getI64IntegerAttr(weightBytes));
    return success();
  }

  /// The addresses behind one operand of a launch.
  LogicalResult addArgument(LaunchOp launch, Value value, SmallVectorImpl<Attribute> &args) {
    auto add = [&](ArgKind kind, int64_t offset) {
      args.push_back(ArgAttr::get(func.getContext(), kind, offset));
      return success();
    };
    while (alias.contains(value))
      value = alias.lookup(value);
    if (auto ref = value.getDefiningOp<WeightRefOp>()) {
      ArrayRef<int64_t> components = *symbols.lookup<WeightDeclOp>(ref.getSymbol()).getOffsets();
      for (int64_t offset : components)
        (void)add(ArgKind::weights, offset);
      return success();
    }
    if (auto ref = value.getDefiningOp<VectorRefOp>())
      return add(ArgKind::weights, *symbols.lookup<VectorDeclOp>(ref.getSymbol()).getOffset());
    if (auto layer = value.getDefiningOp<CacheLayerOp>(); layer && isa<BlockArgument>(layer.getCache()))
      return add(ArgKind::cache, layer.getLayer() * cacheBytesPerPosition(layer.getType()));
    if (isa<BlockArgument>(value)) {
      if (isa<CacheType>(value.getType()))
        return add(ArgKind::cache, 0);
      auto tensor = dyn_cast<RankedTensorType>(value.getType());
      if (tensor && tensor.getElementType().isInteger(32))
        return add(ArgKind::state, tensor.getRank() == 0 ? kPositionOffset : kIdsOffset);
    }
    if (auto found = offsets.find(value); found != offsets.end())
      return add(ArgKind::scratch, found->second);
    return launch.emitOpError() << "has an operand without an address: " << value;
  }

  /// The last launch that reads a result of `launch`; what the function returns lives on.
  size_t lastUse(LaunchOp launch, KernelDefOp kernel, Value result, size_t index) {
    size_t last = index;
    for (auto [value, output] : llvm::zip(kernel.getReturn().getValues(), launch.getOutputs()))
      if (value == result)
        last = std::max(last, lastUse(output));
    return last;
  }
  size_t lastUse(Value output) {
    size_t last = 0;
    for (OpOperand &use : output.getUses()) {
      auto user = dyn_cast<LaunchOp>(use.getOwner());
      if (!user)
        return SIZE_MAX;
      last = std::max(last, order[user]);
      // A kernel may hand its operand on.
      auto kernel = symbols.lookup<KernelDefOp>(user.getKernel());
      for (auto [value, result] : llvm::zip(kernel.getReturn().getValues(), user.getOutputs()))
        if (BlockArgument behind = argumentBehind(value); behind && behind.getArgNumber() == use.getOperandNumber())
          last = std::max(last, lastUse(result));
    }
    return last;
  }

  void giveBackAfter(size_t index) {
    llvm::erase_if(live, [&](auto &range) {
      if (range.second > index)
        return false;
      workspace.giveBack(range.first);
      return true;
    });
  }

  func::FuncOp func;
  SymbolTable &symbols;
  Workspace workspace;
  llvm::DenseMap<Operation *, size_t> order;
  llvm::DenseMap<Value, int64_t> offsets;
  llvm::DenseMap<Value, Value> alias;
  SmallVector<std::pair<int64_t, size_t>> live; // offset, last launch
};

struct PlanBuffersPass : impl::PlanBuffersPassBase<PlanBuffersPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    planWeights(symbols);
    int64_t syncBytes = 0;
    for (auto kernel : getOperation().getOps<KernelDefOp>())
      if (auto words = kernel->getAttrOfType<IntegerAttr>("qlr.sync_words"))
        syncBytes = std::max(syncBytes, alignTo64(4 * words.getInt()));
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(FunctionPlanner(func, symbols, syncBytes).run()))
        return signalPassFailure();
  }

private:
  /// Level tables first, then declarations in order, without holes.
  void planWeights(SymbolTable &symbols) {
    ModuleOp module = getOperation();
    Builder builder(module.getContext());
    int64_t end = 0;
    auto place = [&](int64_t bytes) { return std::exchange(end, end + arenaBytes(bytes)); };
    llvm::DenseMap<Attribute, int64_t> levels;
    for (auto decl : llvm::to_vector(module.getOps<WeightDeclOp>()))
      for (const WeightComponent &component : weightComponents(cast<WeightType>(decl.getType())))
        if (component.isLevels() && !levels.contains(component.codec))
          levels[component.codec] = placeLevels(symbols, decl, component.codec, place);
    for (Operation &op : *module.getBody()) {
      if (auto decl = dyn_cast<WeightDeclOp>(op)) {
        SmallVector<int64_t> offsets;
        for (const WeightComponent &component : weightComponents(cast<WeightType>(decl.getType())))
          offsets.push_back(component.isLevels() ? levels[component.codec] : place(component.bytes));
        decl.setOffsets(offsets);
      } else if (auto decl = dyn_cast<VectorDeclOp>(op)) {
        decl.setOffset(place(4 * cast<RankedTensorType>(decl.getType()).getNumElements()));
      }
    }
    module->setAttr("qlr.weights_bytes", builder.getI64IntegerAttr(end));
  }

  static int64_t placeLevels(SymbolTable &symbols, WeightDeclOp before, CodecAttrInterface codec,
                             llvm::function_ref<int64_t(int64_t)> place) {
    std::string name = "levels." + codec.getCodecName();
    auto decl = symbols.lookup<LevelsDeclOp>(name);
    if (!decl) {
      OpBuilder builder(before.getContext());
      decl = LevelsDeclOp::create(builder, before.getLoc(), name, codec, IntegerAttr());
      symbols.insert(decl, before->getBlock()->begin());
    }
    decl.setOffset(place(kLevelTableBytes));
    return *decl.getOffset();
  }
};

} // namespace
} // namespace qlr
