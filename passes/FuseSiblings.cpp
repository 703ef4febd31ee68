// qlr-fuse-siblings: linear layers that share their input become one layer of a stacked weight.
#include "dialect/Qlr.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "qlr-fuse-siblings"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_FUSESIBLINGSPASS
#include "passes/Passes.h.inc"

namespace {

/// What siblings have in common: the input, and the weight's type but for its rows.
using SiblingKey = std::tuple<Value, Type, unsigned>;
using Siblings = SmallVector<LinearOp>;

/// Stacks the siblings of a module's functions; functions that stack the same layers share the declaration.
class SiblingStacker {
public:
  explicit SiblingStacker(ModuleOp module) : module(module), symbols(module) {}

  void run() {
    for (auto func : module.getOps<func::FuncOp>()) {
      llvm::MapVector<SiblingKey, Siblings> groups;
      func.walk([&](LinearOp op) {
        if (std::optional<SiblingKey> key = keyOf(op))
          groups[*key].push_back(op);
      });
      for (auto &[key, siblings] : groups)
        if (siblings.size() > 1 && canStack(siblings))
          stack(siblings);
    }
    eraseUnused<WeightRefOp>(module.getOps<WeightDeclOp>());
    eraseUnused<VectorRefOp>(module.getOps<VectorDeclOp>());
  }

private:
  static std::optional<SiblingKey> keyOf(LinearOp op) {
    WeightType type = op.getWeight().getType();
    if (!op.getWeight().getDefiningOp<WeightRefOp>() || !type.getParts().empty())
      return std::nullopt;
    if (op.getBias() && !op.getBias().getDefiningOp<VectorRefOp>())
      return std::nullopt;
    auto oneRow = WeightType::get(op.getContext(), 1, type.getColumns(), type.getQ(), type.getRank(), type.getFactors(),
                                  type.getRotation(), {});
    return SiblingKey(op.getX(), oneRow, op.getBias() ? 1 : 0);
  }

  static bool canStack(ArrayRef<LinearOp> siblings) {
    return llvm::all_of(siblings.drop_back(), [](LinearOp op) { return op.getWeight().getType().getRows() % 16 == 0; });
  }

  /// `a.b.q`, `a.b.k` -> `a.b.q.k`; `a.b.q.bias`, `a.b.k.bias` -> `a.b.q.k.bias`.
  static std::string stackedName(ArrayRef<StringRef> names) {
    StringRef suffix = names.front().take_back(5) == ".bias" ? ".bias" : "";
    std::string name = names.front().drop_back(suffix.size()).str();
    for (StringRef other : names.drop_front()) {
      if (!other.consume_back(suffix))
        suffix = "";
      name += ("." + other.rsplit('.').second).str();
    }
    return name + suffix.str();
  }

  /// The declaration that stacks `names`: functions share it.
  template <typename Decl>
  Decl stackedDecl(ArrayRef<StringRef> names, Type type,
                   llvm::function_ref<Decl(OpBuilder &, Location, StringRef, ArrayAttr)> build) {
    Decl &decl = std::get<DeclMap<Decl>>(stacked)[std::vector<std::string>(names.begin(), names.end())];
    if (decl)
      return decl;
    SmallVector<Attribute> parts;
    Decl first;
    for (StringRef name : names) {
      auto part = symbols.lookup<Decl>(name);
      llvm::append_range(parts, part.getParts());
      first = first ? first : part;
    }
    OpBuilder builder(first);
    decl = build(builder, first.getLoc(), stackedName(names), builder.getArrayAttr(parts));
    symbols.insert(decl, Block::iterator(first));
    return decl;
  }

  void stack(ArrayRef<LinearOp> siblings) {
    LinearOp first = siblings.front();
    LDBG() << "stacking " << siblings.size() << " layers from " << first;
    SmallVector<int64_t> rows;
    SmallVector<StringRef> weights, biases;
    int64_t total = 0;
    for (LinearOp op : siblings) {
      rows.push_back(op.getWeight().getType().getRows());
      total += rows.back();
      weights.push_back(op.getWeight().getDefiningOp<WeightRefOp>().getSymbol());
      if (op.getBias())
        biases.push_back(op.getBias().getDefiningOp<VectorRefOp>().getSymbol());
    }
    WeightType part = first.getWeight().getType();
    auto type = WeightType::get(module.getContext(), total, part.getColumns(), part.getQ(), part.getRank(),
                                part.getFactors(), part.getRotation(), rows);
    auto decl =
        stackedDecl<WeightDeclOp>(weights, type, [&](OpBuilder &b, Location loc, StringRef name, ArrayAttr parts) {
          return WeightDeclOp::create(b, loc, name, type, parts, DenseI64ArrayAttr());
        });
    OpBuilder builder(first);
    Value weight = WeightRefOp::create(builder, first.getLoc(), type, decl.getSymName());
    Value bias;
    if (!biases.empty()) {
      auto biasType = RankedTensorType::get({total}, builder.getF32Type());
      auto biasDecl =
          stackedDecl<VectorDeclOp>(biases, biasType, [&](OpBuilder &b, Location loc, StringRef name, ArrayAttr parts) {
            return VectorDeclOp::create(b, loc, name, biasType, parts, "bias", IntegerAttr());
          });
      bias = VectorRefOp::create(builder, first.getLoc(), biasType, biasDecl.getSymName());
    }
    RankedTensorType result = first.getType();
    auto stackedType = RankedTensorType::get({result.getDimSize(0), total}, result.getElementType());
    Value y = LinearOp::create(builder, first.getLoc(), stackedType, first.getX(), weight, bias);
    int64_t offset = 0;
    for (LinearOp op : siblings) {
      builder.setInsertionPoint(op);
      Value slice = SliceOp::create(builder, op.getLoc(), op.getType(), y, offset);
      offset += op.getType().getDimSize(1);
      op.replaceAllUsesWith(slice);
    }
    for (LinearOp op : siblings)
      op.erase();
  }

  /// Erases references without uses, then declarations that lost their last reference.
  template <typename Ref, typename Range> void eraseUnused(Range decls) {
    llvm::DenseSet<StringAttr> used;
    module.walk([&](Ref ref) {
      if (ref.use_empty())
        ref.erase();
      else
        used.insert(ref.getSymbolAttr().getAttr());
    });
    for (auto decl : llvm::make_early_inc_range(decls))
      if (!used.contains(decl.getSymNameAttr()))
        decl.erase();
  }

  template <typename Decl> using DeclMap = std::map<std::vector<std::string>, Decl>;

  ModuleOp module;
  SymbolTable symbols;
  std::tuple<DeclMap<WeightDeclOp>, DeclMap<VectorDeclOp>> stacked;
};

struct FuseSiblingsPass : impl::FuseSiblingsPassBase<FuseSiblingsPass> {
  void runOnOperation() override { SiblingStacker(getOperation()).run(); }
};

} // namespace
} // namespace qlr
