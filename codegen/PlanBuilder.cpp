// Reads launches, arguments and sizes off planned IR.
#include "codegen/PlanBuilder.h"

#include "codegen/host/HostLowering.h"
#include "dialect/Layout.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <set>

using namespace mlir;

namespace qlr {
namespace {

PlanArg::Kind argKind(ArgKind kind) {
  switch (kind) {
  case ArgKind::weights:
    return PlanArg::Kind::Weights;
  case ArgKind::scratch:
    return PlanArg::Kind::Workspace;
  case ArgKind::state:
    return PlanArg::Kind::State;
  case ArgKind::cache:
    return PlanArg::Kind::Cache;
  }
  llvm_unreachable("unknown arena");
}

uint64_t intAttr(Operation *op, llvm::StringRef name) {
  return static_cast<uint64_t>(op->getAttrOfType<IntegerAttr>(name).getInt());
}

/// "int8 for trellis2; 16-bit for int4, int8": what every product's activations are.
std::string describeActivations(ModuleOp module) {
  std::map<unsigned, std::set<std::string>> codecs;
  module.walk([&](WeightDeclOp decl) {
    auto type = cast<WeightType>(decl.getType());
    codecs[type.getQ().getActivationBits()].insert(type.getQ().getCodecName());
    if (type.getRank())
      codecs[type.getFactors().getActivationBits()].insert(type.getFactors().getCodecName());
  });
  std::string text;
  for (auto &[bits, names] : codecs) {
    text += (text.empty() ? "" : "; ") + (bits == 0 ? std::string("fp32") : bits == 8 ? "int8" : "16-bit") + " for ";
    bool first = true;
    for (const std::string &name : names) {
      text += (first ? "" : ", ") + name;
      first = false;
    }
  }
  return text;
}

/// Embedding and head, where they lie in the arena.
std::vector<PlanRegion> findRegions(ModuleOp planned) {
  auto named = [](WeightDeclOp decl, llvm::StringRef module) {
    return llvm::any_of(decl.getParts().getAsRange<StringAttr>(), [&](StringAttr part) { return part == module; });
  };
  const bool tied =
      llvm::none_of(planned.getOps<WeightDeclOp>(), [&](WeightDeclOp decl) { return named(decl, "lm_head"); });
  std::vector<PlanRegion> regions;
  for (auto decl : planned.getOps<WeightDeclOp>()) {
    const bool embedding = named(decl, "model.embed_tokens");
    if (!embedding && !named(decl, "lm_head"))
      continue;
    const auto kind = embedding && !tied ? PlanRegion::Kind::Embedding : PlanRegion::Kind::Head;
    for (auto [component, offset] : llvm::zip(weightComponents(cast<WeightType>(decl.getType())), *decl.getOffsets()))
      if (!component.isLevels()) // shared with other weights
        regions.push_back(
            {kind, static_cast<uint64_t>(offset), static_cast<uint64_t>(offset) + arenaBytes(component.bytes)});
  }
  llvm::sort(regions, [](const PlanRegion &a, const PlanRegion &b) { return a.begin < b.begin; });
  return regions;
}

} // namespace

Plan buildPlan(ModuleOp planned, const ModelConfig &config) {
  Plan plan;
  plan.model.vocab = config.vocabSize;
  plan.model.hidden = config.hiddenSize;
  plan.model.layers = config.layers;
  plan.model.heads = config.heads;
  plan.model.kvHeads = config.kvHeads;
  plan.model.headDim = config.headDim;
  plan.model.maxPositions = config.maxPositions;
  plan.activations = describeActivations(planned);
  plan.weightsBytes = intAttr(planned, "qlr.weights_bytes");
  plan.regions = findRegions(planned);

  std::map<std::string, uint32_t> kernelIndex;
  for (auto kernel : planned.getOps<KernelDefOp>()) {
    PlanKernel entry{kernel.getSymName().str(), {}};
    for (auto stage : kernel.getBody().front().getOps<StageOp>())
      entry.stages.push_back(
          {stageSymbol(kernel.getSymName(), entry.stages.size()), static_cast<uint64_t>(stage.getItems())});
    kernelIndex[entry.name] = plan.kernels.size();
    plan.kernels.push_back(std::move(entry));
  }

  for (auto function : planned.getOps<func::FuncOp>()) {
    TokenPlan tokens;
    for (Type input : function.getArgumentTypes()) {
      if (auto cache = dyn_cast<CacheType>(input)) {
        plan.cacheBytesPerPosition = cacheBytesPerPosition(cache);
        plan.model.cache = cache.getElementType().isBF16() ? "bf16" : "f32";
      }
      if (auto ids = dyn_cast<RankedTensorType>(input); ids && ids.getRank() == 1)
        tokens.tokens = ids.getDimSize(0);
    }
    auto logits = cast<RankedTensorType>(function.getResultTypes().front());
    tokens.allLogits = tokens.tokens > 1 && logits.getDimSize(0) == tokens.tokens;
    tokens.workspaceBytes = intAttr(function, "qlr.workspace_bytes");
    tokens.logitsOffset = intAttr(function, "qlr.logits_offset");
    for (auto launch : function.getOps<LaunchOp>()) {
      PlanStep step;
      step.kernel = kernelIndex.at(launch.getKernel().str());
      for (auto arg : launch.getArgs()->getAsRange<ArgAttr>())
        step.args.push_back({argKind(arg.getKind()), static_cast<uint64_t>(arg.getOffset())});
      step.weightBytes = launch.getWeightBytes().value_or(0);
      step.source = launch.getSource().value_or("").str();
      tokens.steps.push_back(std::move(step));
    }
    plan.plans.push_back(std::move(tokens));
  }
  return plan;
}

} // namespace qlr
