// qlr-select-variants: how every product is cut and unrolled.
#include "passes/CostModel.h"
#include "passes/Passes.h"
#include "passes/SplitPlan.h"

#include "mlir/IR/Builders.h"
#include "llvm/Support/DebugLog.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

#define DEBUG_TYPE "qlr-select-variants"

using namespace mlir;

namespace qlr {
#define GEN_PASS_DEF_SELECTVARIANTSPASS
#include "passes/Passes.h.inc"

namespace {

/// Measured variants: {"variants": [{"codec", "strips_total", "columns", "tokens_total", "strips", "accumulators",
/// "tokens"}, ...]}; a later entry for the same product wins.
class TuningDatabase {
public:
  LogicalResult load(StringRef path, llvm::function_ref<InFlightDiagnostic()> emitError) {
    auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
    if (!buffer)
      return emitError() << path << ": " << buffer.getError().message();
    llvm::Expected<llvm::json::Value> value = llvm::json::parse((*buffer)->getBuffer());
    if (!value)
      return emitError() << path << ": " << llvm::toString(value.takeError());
    const llvm::json::Object *object = value->getAsObject();
    const llvm::json::Array *list = object ? object->getArray("variants") : nullptr;
    if (!list)
      return emitError() << path << ": expects an object with a list of variants";
    for (const llvm::json::Value &entry : *list)
      if (failed(add(entry.getAsObject())))
        return emitError() << path << ": expects codec, strips_total, columns, tokens_total, strips, accumulators and "
                           << "tokens in every variant, numbers positive";
    return success();
  }

  std::optional<Variant> find(const Product &product) const {
    auto found = variants.find({product.codec.getCodecName(), product.strips, product.columns, product.tokens});
    return found == variants.end() ? std::nullopt : std::optional(found->second);
  }

private:
  LogicalResult add(const llvm::json::Object *entry) {
    std::optional<StringRef> codec = entry ? entry->getString("codec") : std::nullopt;
    if (!codec)
      return failure();
    int64_t numbers[6];
    const char *names[] = {"strips_total", "columns", "tokens_total", "strips", "accumulators", "tokens"};
    for (auto [name, number] : llvm::zip(names, numbers)) {
      number = entry->getInteger(name).value_or(0);
      if (number <= 0)
        return failure();
    }
    variants[{codec->str(), numbers[0], numbers[1], numbers[2]}] = {numbers[3], numbers[4], numbers[5]};
    return success();
  }

  std::map<std::tuple<std::string, int64_t, int64_t, int64_t>, Variant> variants;
};

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
    if (machine == "gpu")
      return (void)getOperation().walk([&](StageOp stage) { selectForGpu(stage); });
    TuningDatabase database;
    if (!tuneDb.empty() && failed(database.load(tuneDb, [&] { return getOperation().emitError(); })))
      return signalPassFailure();
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
  void selectForGpu(StageOp stage) {
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
    } else if (std::optional<Product> product =
                   stage.getDomain() == Domain::strips ? productOf(stage) : std::nullopt) {
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
