// qlr-select-variants: how every product is cut and unrolled.
#include "passes/CostModel.h"
#include "passes/Passes.h"
#include "passes/SplitPlan.h"
#include "passes/TuningDatabase.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/DebugLog.h"

#define DEBUG_TYPE "qlr-select-variants"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_SELECTVARIANTSPASS
#include "passes/Passes.h.inc"

namespace {

/// The product a stage is built around. A stage that only expands multiplies by the left factors.
std::optional<Product> productOf(StageOp stage) {
  std::optional<Product> product;
  for (Operation &op : stage.getBody().front()) {
    auto staged = dyn_cast<StagedOpInterface>(op);
    if (!staged || staged.getDomain() != Domain::strips)
      continue;
    auto weight = llvm::find_if(op.getOperandTypes(), [](Type type) { return isa<WeightType>(type); });
    if (weight == op.operand_type_end())
      continue;
    auto type = cast<WeightType>(*weight);
    int64_t tokens = cast<RankedTensorType>(op.getResult(0).getType()).getDimSize(0);
    Product found{type.getQ(), staged.getUnits(), type.getColumns(), tokens};
    if (!staged.isStageRoot())
      found = {type.getFactors(), staged.getUnits(), type.getRank(), tokens};
    else if (staged.getUnits() != type.numStrips() || isa<ProjectOp>(op))
      found.codec = type.getFactors();
    if (staged.isStageRoot())
      return found;
    product = found;
  }
  return product;
}

struct SelectVariantsPass : impl::SelectVariantsPassBase<SelectVariantsPass> {
  using SelectVariantsPassBase::SelectVariantsPassBase;

  void runOnOperation() override {
    if (machine != "host" && machine != "gpu") {
      getOperation().emitError() << "expects machine host or gpu, got " << machine;
      return signalPassFailure();
    }
    TuningDatabase database;
    if (!tuneDb.empty() && failed(database.load(tuneDb, [&] { return getOperation().emitError(); })))
      return signalPassFailure();
    if (machine == "gpu")
      return (void)getOperation().walk([&](StageOp stage) { selectForGpu(stage, database); });
    Builder builder(&getContext());
    getOperation().walk([&](StageOp stage) {
      if (stage.getDomain() != Domain::strips || stage.getVariant())
        return;
      std::optional<Product> product = productOf(stage);
      if (!product)
        return;
      std::optional<Variant> measured = database.find(*product);
      Variant variant = measured.value_or(chooseVariant(*product));
      // An item cannot have more strips than there are.
      variant.strips = std::min(variant.strips, product->strips);
      LDBG() << product->codec.getCodecName() << " " << product->strips << " strips x " << product->columns << ": "
             << variant.strips << " strips, " << variant.accumulators << " accumulators"
             << (measured ? " (measured)" : "");
      stage.setVariantAttr(builder.getDictionaryAttr({
          builder.getNamedAttr("accumulators", builder.getI64IntegerAttr(variant.accumulators)),
          builder.getNamedAttr("strips", builder.getI64IntegerAttr(variant.strips)),
          builder.getNamedAttr("tokens", builder.getI64IntegerAttr(variant.tokens)),
      }));
      stage.setItems((product->strips + variant.strips - 1) / variant.strips);
    });
  }

private:
  void selectForGpu(StageOp stage, const TuningDatabase &database) {
    if (stage.getVariant())
      return;
    Builder builder(&getContext());
    GpuWishes wishes{multiply, decode, splits};
    SmallVector<NamedAttribute> entries;
    auto number = [&](StringRef name, int64_t value) {
      entries.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(value)));
    };
    auto text = [&](StringRef name, StringRef value) {
      if (!value.empty())
        entries.push_back(builder.getNamedAttr(name, builder.getStringAttr(value)));
    };
    if (AttentionOp attention = attentionOf(stage)) {
      const int64_t tokens = cast<RankedTensorType>(attention.getQ().getType()).getDimSize(0);
      number("splits", chooseAttentionSplits(tokens, attention.getCache().getType().getKvHeads(), wishes));
    } else if (std::optional<Product> product = stage.getDomain() == Domain::strips ? productOf(stage) : std::nullopt) {
      // What was asked for comes first, then what was measured, then the model.
      if (std::optional<GpuWishes> measured = database.findForGpu(*product)) {
        wishes.multiply = multiply.empty() ? measured->multiply : multiply;
        wishes.decode = decode.empty() ? measured->decode : decode;
        wishes.splits = splits ? splits : measured->splits;
      }
      GpuVariant variant = chooseGpuVariant(*product, wishes);
      // A stage that only expands has no columns of its own to split.
      if (llvm::none_of(stage.getBody().front(), [](Operation &op) { return isa<MatmulOp, ProjectOp>(op); }))
        variant.splits = 1;
      text("decode", variant.decode);
      text("multiply", variant.multiply);
      number("splits", variant.splits);
      number("strips", variant.strips);
      stage.setItems(llvm::divideCeil(product->strips, variant.strips) * variant.splits);
    } else {
      return;
    }
    stage.setVariantAttr(builder.getDictionaryAttr(entries));
  }
};

} // namespace
} // namespace qlr
