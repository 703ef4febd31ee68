// qlr-stage: kernels are cut into stages of independent items.
#include "dialect/Qlr.h"
#include "passes/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "qlr-stage"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_STAGEPASS
#include "passes/Passes.h.inc"

namespace {

bool isView(Operation *op) {
  auto staged = dyn_cast_or_null<StagedOpInterface>(op);
  return staged && staged.isView();
}

Value viewedBy(Value value) {
  while (isView(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value;
}

bool isElementwise(Operation *op) { return isa_and_nonnull<QlrElementwiseOpInterface>(op); }

struct Stage {
  Domain domain;
  bool hasRoot = false;
  int64_t units = 0;
  llvm::SetVector<Operation *> ops; // those that are not pulled in
};

/// Distributes the ops of one kernel over stages.
class Staging {
public:
  /// `results`: what the kernel returns, in memory at its end.
  explicit Staging(OperandRange results) {
    for (Value result : results)
      if (Operation *op = result.getDefiningOp())
        returned.insert(op);
  }

  void add(StagedOpInterface op) {
    if (op.isView() && !returned.contains(op))
      return;
    // Elementwise ops and views read by their consumers wait until something needs them in memory.
    if (isElementwise(op)) {
      if (std::optional<size_t> index = op.isView() ? std::nullopt : epilogueOf(op))
        return join(op, *index);
      pending.insert(op);
      if (returned.contains(op) || !isPulledByAllUsers(op))
        materialize(op);
      return;
    }
    for (Value operand : op->getOperands())
      if (!pulls(op))
        if (Operation *source = viewedBy(operand).getDefiningOp(); source && pending.contains(source))
          materialize(source);
    if (!op.isStageRoot())
      if (std::optional<size_t> index = stageToJoin(op))
        return join(op, *index);
    open(op);
  }

  SmallVector<Stage> &finish() {
    for (Operation *op : llvm::to_vector(pending))
      if (llvm::any_of(op->getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); }))
        materialize(op);
    return stages;
  }

private:
  /// A rotation computes its input on the fly.
  static bool pulls(StagedOpInterface op) { return op.getDomain() == Domain::blocks; }

  /// Every reader, through views, computes it on the fly.
  static bool isPulledByAllUsers(Operation *op) {
    return llvm::all_of(op->getUsers(), [](Operation *user) {
      auto staged = dyn_cast<StagedOpInterface>(user);
      if (!staged)
        return false;
      return isElementwise(user) ? isPulledByAllUsers(user) : pulls(staged);
    });
  }

  void open(StagedOpInterface op) {
    stages.push_back({op.getDomain(), op.isStageRoot(), 0, {}});
    join(op, stages.size() - 1);
  }

  void join(StagedOpInterface op, size_t index) {
    stages[index].ops.insert(op);
    if (op.getDomain() == stages[index].domain)
      stages[index].units = std::max(stages[index].units, op.getUnits());
    stageOf[op] = index;
    pending.remove(op);
  }

  /// Gives a pending op a stage of its own, into which its elementwise operands are pulled.
  void materialize(Operation *op) { open(cast<StagedOpInterface>(op)); }

  /// The stage that made operand `value`, and whether it is read without a view in between.
  std::optional<size_t> stageOfSource(Value value) {
    Operation *source = viewedBy(value).getDefiningOp();
    auto found = stageOf.find(source);
    return found == stageOf.end() ? std::nullopt : std::optional(found->second);
  }

  /// The stage over strips that `op` can end: it makes one operand of the same columns, and the others are there by
  /// then.
  std::optional<size_t> epilogueOf(StagedOpInterface op) {
    std::optional<size_t> latest;
    bool direct = false;
    for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
      if (pending.contains(viewedBy(operand).getDefiningOp()))
        return std::nullopt;
      std::optional<size_t> index = stageOfSource(operand);
      if (!index || (latest && *latest > *index))
        continue;
      // Of two operands from one stage both must be of the item's own columns.
      bool isDirect = op.readsOwnItem(number) && !isView(operand.getDefiningOp());
      direct = latest == index ? direct && isDirect : isDirect;
      latest = index;
    }
    if (!latest || !direct || stages[*latest].domain != Domain::strips)
      return std::nullopt;
    return latest;
  }

  /// Where an op that opens no stage goes: strips follow the product they extend, heads the latest stage over heads
  /// unless an operand is made later, or by other items of that stage.
  std::optional<size_t> stageToJoin(StagedOpInterface op) {
    if (op.getDomain() == Domain::strips)
      return epilogueOf(op);
    for (size_t index = stages.size(); index-- > 0;) {
      bool later = false;
      for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
        std::optional<size_t> source = stageOfSource(operand);
        bool ownItem = op.readsOwnItem(number) && !isView(operand.getDefiningOp());
        later |= source && (*source > index || (*source == index && !ownItem));
      }
      if (later)
        return std::nullopt;
      if (stages[index].domain == op.getDomain() && !stages[index].hasRoot)
        return index;
    }
    return std::nullopt;
  }

  llvm::DenseSet<Operation *> returned;
  SmallVector<Stage> stages;
  llvm::DenseMap<Operation *, size_t> stageOf;
  llvm::SetVector<Operation *> pending;
};

/// Writes the stages of one kernel.
class StageWriter {
public:
  StageWriter(KernelDefOp kernel, ArrayRef<Stage> stages) : kernel(kernel), stages(stages) {
    for (auto [index, stage] : llvm::enumerate(stages))
      for (Operation *op : stage.ops)
        stageOf[op] = index;
  }

  void write() {
    Operation *end = kernel.getReturn();
    OpBuilder builder(end);
    for (auto [index, stage] : llvm::enumerate(stages))
      writeStage(builder, stage, index);
    for (OpOperand &result : end->getOpOperands())
      result.set(inMemory.lookupOrDefault(result.get()));
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*end->getBlock())))
      if (isa<StagedOpInterface>(op)) {
        op.dropAllUses();
        op.erase();
      }
  }

private:
  void writeStage(OpBuilder &builder, const Stage &stage, size_t index) {
    SmallVector<Operation *> ops = llvm::to_vector(stage.ops);
    llvm::sort(ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    SmallVector<Value> yielded;
    for (Operation *op : ops)
      for (Value result : op->getResults())
        if (isNeededLater(result, index))
          yielded.push_back(result);
    SmallVector<Location> locs;
    for (Operation *op : ops)
      locs.push_back(op->getLoc());
    auto staged = StageOp::create(builder, builder.getFusedLoc(locs), ValueRange(yielded).getTypes(), stage.domain,
                                  stage.units, DictionaryAttr());
    OpBuilder inside = OpBuilder::atBlockEnd(&staged.getBody().emplaceBlock());
    IRMapping map = inMemory;
    for (Operation *op : ops)
      copy(inside, op, map);
    SmallVector<Value> values;
    for (Value value : yielded)
      values.push_back(map.lookup(value));
    YieldOp::create(inside, staged.getLoc(), values);
    for (auto [value, output] : llvm::zip(yielded, staged.getOutputs()))
      inMemory.map(value, output);
  }

  /// Clones `op` with the views and elementwise ops that no stage keeps in memory.
  void copy(OpBuilder &builder, Operation *op, IRMapping &map) {
    for (Value operand : op->getOperands())
      if (Operation *source = operand.getDefiningOp(); source && !map.contains(operand))
        copy(builder, source, map);
    builder.clone(*op, map);
  }

  /// Something outside of stage `index` reads it from memory.
  bool isNeededLater(Value value, size_t index) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      auto found = stageOf.find(user);
      if (found != stageOf.end())
        return found->second != index;
      return user->hasTrait<OpTrait::IsTerminator>() ||
             llvm::any_of(user->getResults(), [&](Value result) { return isNeededLater(result, index); });
    });
  }

  KernelDefOp kernel;
  ArrayRef<Stage> stages;
  llvm::DenseMap<Operation *, size_t> stageOf;
  IRMapping inMemory;
};

struct StagePass : impl::StagePassBase<StagePass> {
  void runOnOperation() override {
    for (auto kernel : getOperation().getOps<KernelDefOp>()) {
      Block &body = kernel.getBody().front();
      if (!body.getOps<StageOp>().empty())
        continue;
      Staging staging(kernel.getReturn().getValues());
      for (Operation &op : body.without_terminator()) {
        auto staged = dyn_cast<StagedOpInterface>(op);
        if (!staged) {
          op.emitOpError("has no staging domain");
          return signalPassFailure();
        }
        staging.add(staged);
      }
      StageWriter(kernel, staging.finish()).write();
      LDBG() << "staged " << kernel.getSymName();
    }
  }
};

} // namespace
} // namespace qlr
