// qlr-form-kernels: neighbouring ops move into kernels.
#include "dialect/Qlr.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "qlr-form-kernels"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "passes/Passes.h.inc"

namespace {

bool isView(Operation *op) {
  auto staged = dyn_cast_or_null<StagedOpInterface>(op);
  return staged && staged.isView();
}

/// The op behind `value` when views are looked through; null for block arguments.
Operation *sourceOf(Value value) {
  Operation *op = value.getDefiningOp();
  while (op && isView(op))
    op = op->getOperand(0).getDefiningOp();
  return op;
}

/// Ops around which a fused kernel forms: they read a weight or a cache as a whole.
bool isAnchor(StagedOpInterface op) {
  return op.isStageRoot() &&
         llvm::any_of(op->getOperandTypes(), [](Type type) { return isa<WeightType, CacheType>(type); });
}

/// The ops of one kernel-to-be.
struct Group {
  llvm::SetVector<Operation *> ops;
  /// What was taken in before the first product: a later product of the same prologue may join.
  llvm::DenseSet<Operation *> prologue;
};

/// Distributes a function's staged ops over kernels, in an order in which each needs only earlier ones.
class Grouping {
public:
  /// `joinProducts`: products of one prologue share a kernel.
  Grouping(bool fused, bool joinProducts) : fused(fused), joinProducts(joinProducts) {}

  void add(StagedOpInterface op) {
    if (op.isView())
      return;
    if (!fused)
      return place(op, groups.emplace_back());
    if (isAnchor(op))
      return addAnchor(op);
    if (std::optional<size_t> index = epilogueOf(op)) {
      llvm::SetVector<Operation *> needed;
      collectPending(op, needed);
      for (Operation *before : needed) {
        place(before, groups[*index], *index);
        groups[*index].prologue.insert(before);
      }
      return place(op, groups[*index], *index);
    }
    pending.insert(op);
  }

  /// Ops that no kernel needed form the last one.
  SmallVector<Group> finish() {
    if (!pending.empty()) {
      Group &rest = groups.emplace_back();
      for (Operation *op : pending)
        rest.ops.insert(op);
    }
    return std::move(groups);
  }

private:
  void place(Operation *op, Group &group) { place(op, group, groups.size() - 1); }
  void place(Operation *op, Group &group, size_t index) {
    group.ops.insert(op);
    groupOf[op] = index;
    pending.remove(op);
  }

  void addAnchor(Operation *op) {
    llvm::SetVector<Operation *> needed;
    collectPending(op, needed);
    // Products of the same activations (siblings of different codecs) read one prologue.
    bool joins = false;
    if (joinProducts && !groups.empty()) {
      auto fromPrologue = [&](Operation *source) { return groups.back().prologue.contains(source); };
      auto harmless = [&](Operation *source) {
        auto found = groupOf.find(source);
        return found == groupOf.end() || found->second + 1 < groups.size() || fromPrologue(source);
      };
      SmallVector<Operation *> sources;
      for (Operation *user : llvm::concat<Operation *const>(needed.getArrayRef(), ArrayRef<Operation *>(op)))
        for (Value operand : user->getOperands())
          if (Operation *source = sourceOf(operand))
            sources.push_back(source);
      joins = llvm::any_of(sources, fromPrologue) && llvm::all_of(sources, harmless);
    }
    if (!joins)
      groups.emplace_back();
    for (Operation *before : needed) {
      place(before, groups.back());
      groups.back().prologue.insert(before);
    }
    place(op, groups.back());
  }

  /// Pending ops that `op` needs, operands first.
  void collectPending(Operation *op, llvm::SetVector<Operation *> &needed) {
    for (Value operand : op->getOperands())
      if (Operation *source = sourceOf(operand); source && pending.contains(source)) {
        collectPending(source, needed);
        needed.insert(source);
      }
  }

  /// Rotations that read `op` compute it on the fly, from matrices that have other readers and are in memory anyway: a
  /// copy of it in memory would be for nothing.
  static bool isLeftToReaders(Operation *op) {
    auto pulls = [](Operation *user) {
      auto staged = dyn_cast<StagedOpInterface>(user);
      return staged && staged.isStageRoot() && staged.getDomain() == Domain::blocks;
    };
    auto elementwise = dyn_cast<QlrElementwiseOpInterface>(op);
    if (!elementwise || !llvm::all_of(op->getUsers(), pulls))
      return false;
    for (OpOperand &operand : op->getOpOperands())
      if (elementwise.getBroadcast(operand.getOperandNumber()) == Broadcast::None && operand.get().hasOneUse())
        return false;
    return true;
  }

  /// The kernel that `op` can end: it made one of op's operands, and all others are there by then, or come along
  /// because they are one value a token. An elementwise op needs the very columns that an item has made, so a view in
  /// between ends the kernel; heads are a stage of their own.
  std::optional<size_t> epilogueOf(StagedOpInterface op) {
    if (op.isStageRoot() || isLeftToReaders(op))
      return std::nullopt;
    auto elementwise = dyn_cast<QlrElementwiseOpInterface>(op.getOperation());
    std::optional<size_t> latest, direct;
    for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
      Operation *source = sourceOf(operand);
      if (!isa_and_nonnull<StagedOpInterface>(source))
        continue;
      if (pending.contains(source)) {
        if (!elementwise || elementwise.getBroadcast(number) != Broadcast::Columns)
          return std::nullopt;
        llvm::SetVector<Operation *> needed;
        collectPending(op, needed);
        // What a product gives is complete only after its kernel.
        for (Operation *before : needed)
          for (Value operand : before->getOperands())
            if (auto found = groupOf.find(sourceOf(operand)); found != groupOf.end()) {
              bool isPrologue = groups[found->second].prologue.contains(found->first);
              latest = std::max(latest.value_or(0), found->second + (isPrologue ? 0 : 1));
            }
        continue;
      }
      size_t index = groupOf.lookup(source);
      latest = std::max(latest.value_or(0), index);
      bool afterProduct = !groups[index].prologue.contains(source);
      if (afterProduct && (op.getDomain() == Domain::heads || !isView(operand.getDefiningOp())))
        direct = std::max(direct.value_or(0), index);
    }
    return direct == latest ? direct : std::nullopt;
  }

  bool fused, joinProducts;
  SmallVector<Group> groups;
  llvm::DenseMap<Operation *, size_t> groupOf;
  llvm::SetVector<Operation *> pending;
};

/// What the kernel stands for in the checkpoint: its first weight, else the layer whose cache it reads.
StringAttr sourceName(OpBuilder &builder, ArrayRef<Value> inputs) {
  for (Value input : inputs)
    if (auto ref = input.getDefiningOp<WeightRefOp>())
      return ref.getSymbolAttr().getAttr();
  for (Value input : inputs)
    if (auto layer = input.getDefiningOp<CacheLayerOp>())
      return builder.getStringAttr("model.layers." + Twine(layer.getLayer()) + ".self_attn");
  return {};
}

struct FormKernelsPass : impl::FormKernelsPassBase<FormKernelsPass> {
  using FormKernelsPassBase::FormKernelsPassBase;

  void runOnOperation() override {
    if (form != "fused" && form != "two-stage" && form != "unfused") {
      getOperation().emitError() << "expects form fused, two-stage or unfused, got " << form;
      return signalPassFailure();
    }
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(runOnFunction(func)))
        return signalPassFailure();
  }

private:
  LogicalResult runOnFunction(func::FuncOp func) {
    Block &body = func.front();
    Grouping grouping(form != "unfused", form != "two-stage");
    for (Operation &op : body) {
      if (auto staged = dyn_cast<StagedOpInterface>(op)) {
        grouping.add(staged);
        continue;
      }
      // Kernels are appended at the end, so what stays must not need them.
      for (Value operand : op.getOperands())
        if (!op.hasTrait<OpTrait::IsTerminator>() && isa_and_nonnull<StagedOpInterface>(operand.getDefiningOp()))
          return op.emitOpError("uses a value computed in a kernel, but has no place in one");
    }
    SmallVector<Group> groups = grouping.finish();
    LDBG() << func.getSymName() << ": " << groups.size() << " kernels";
    for (const Group &group : groups)
      makeKernel(group, body.getTerminator());
    eraseViews(body);
    return success();
  }

  static void makeKernel(const Group &group, Operation *before) {
    SmallVector<Operation *> ops = llvm::to_vector(group.ops);
    llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    llvm::SetVector<Value> inputs, outputs;
    for (Operation *op : ops) {
      for (Value operand : op->getOperands()) {
        while (isView(operand.getDefiningOp()))
          operand = operand.getDefiningOp()->getOperand(0);
        if (!group.ops.contains(operand.getDefiningOp()))
          inputs.insert(operand);
      }
      for (Value result : op->getResults())
        if (isUsedOutside(result, group))
          outputs.insert(result);
    }
    OpBuilder builder(before);
    SmallVector<Location> locs;
    for (Operation *op : ops)
      locs.push_back(op->getLoc());
    Location loc = builder.getFusedLoc(locs);
    auto kernel = KernelOp::create(builder, loc, TypeRange(outputs.getArrayRef()), inputs.getArrayRef(),
                                   sourceName(builder, inputs.getArrayRef()));
    Block *block = &kernel.getBody().emplaceBlock();
    IRMapping map;
    for (Value input : inputs)
      map.map(input, block->addArgument(input.getType(), input.getLoc()));
    builder.setInsertionPointToStart(block);
    for (Operation *op : ops) {
      for (Value operand : op->getOperands())
        copyView(builder, operand, map);
      builder.clone(*op, map);
    }
    SmallVector<Value> yielded;
    for (Value output : outputs)
      yielded.push_back(map.lookup(output));
    YieldOp::create(builder, loc, yielded);
    for (auto [output, result] : llvm::zip(llvm::to_vector(outputs), kernel.getOutputs()))
      output.replaceAllUsesWith(result);
    for (Operation *op : llvm::reverse(ops)) {
      op->dropAllUses();
      op->erase();
    }
  }

  /// A use by a view counts where the view is used.
  static bool isUsedOutside(Value value, const Group &group) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      return isView(user) ? isUsedOutside(user->getResult(0), group) : !group.ops.contains(user);
    });
  }

  static void copyView(OpBuilder &builder, Value value, IRMapping &map) {
    if (map.contains(value) || !isView(value.getDefiningOp()))
      return;
    copyView(builder, value.getDefiningOp()->getOperand(0), map);
    builder.clone(*value.getDefiningOp(), map);
  }

  /// Views that a function returns become copies in a kernel; the others have been copied into their users'.
  static void eraseViews(Block &body) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body))) {
      if (!isView(&op))
        continue;
      if (!op.use_empty()) {
        Group group;
        group.ops.insert(&op);
        makeKernel(group, body.getTerminator());
      } else {
        op.erase();
      }
    }
  }
};

} // namespace
} // namespace qlr
