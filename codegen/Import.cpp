// Builds the forward functions of a Qwen2 model.
#include "codegen/Import.h"

#include "codegen/ImportParameters.h"

#include "runtime/format/Error.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;

namespace qlr {

namespace {

/// Builds one forward function; every method appends ops and returns their value.
class ForwardBuilder {
public:
  ForwardBuilder(func::FuncOp func, const ModelConfig &config, ParameterImporter &parameters)
      : config(config), parameters(parameters), builder(OpBuilder::atBlockEnd(func.addEntryBlock())),
        ids(func.getArgument(0)), position(func.getArgument(1)), cache(func.getArgument(2)) {}

  void build(bool allLogits) {
    LinearModule table{"model.embed_tokens", config.vocabSize, config.hiddenSize, false, ""};
    at(table.name);
    Value weight = weightRef(table);
    auto hidden = matrix(cast<RankedTensorType>(ids.getType()).getDimSize(0), config.hiddenSize);
    Value x = EmbedOp::create(builder, loc, hidden, ids, weight);
    for (uint32_t layer = 0; layer < config.layers; ++layer)
      x = decoderLayer(x, layer);
    if (!allLogits && tokensOf(x) > 1) {
      at("last_token");
      x = LastTokenOp::create(builder, loc, matrix(1, config.hiddenSize), x);
    }
    x = norm(x, "model.norm");
    if (!config.tiedHead)
      table.name = "lm_head";
    Value logits = linear(x, table);
    func::ReturnOp::create(builder, loc, logits);
  }

private:
  Value decoderLayer(Value x, uint32_t layer) {
    std::string prefix = "model.layers." + std::to_string(layer);
    std::vector<LinearModule> modules = layerModules(config, layer);
    const LinearModule &q = modules[0], &k = modules[1], &v = modules[2], &o = modules[3], &gate = modules[4],
                       &up = modules[5], &down = modules[6];
    Value a = norm(x, prefix + ".input_layernorm");
    Value query = linear(a, q), key = linear(a, k), value = linear(a, v);
    at(prefix + ".self_attn");
    query = rope(query, config.heads);
    key = rope(key, config.kvHeads);
    auto whole = cast<CacheType>(cache.getType());
    auto part = CacheType::get(builder.getContext(), 1, whole.getKvHeads(), whole.getHeadDim(), whole.getElementType());
    Value kept = CacheLayerOp::create(builder, loc, part, cache, layer);
    kept = CacheAppendOp::create(builder, loc, part, kept, key, value, position);
    Value attended = AttentionOp::create(builder, loc, query.getType(), query, kept, position, config.heads,
                                         config.kvHeads, config.headDim);
    x = add(x, linear(attended, o));
    Value b = norm(x, prefix + ".post_attention_layernorm");
    Value gated = linear(b, gate), passed = linear(b, up);
    at(prefix + ".mlp");
    Value h = SwigluOp::create(builder, loc, gated.getType(), gated, passed);
    return add(x, linear(h, down));
  }

  /// y = W x + b; x is rotated and quantized as the weight wants it, once for all weights that want the same.
  Value linear(Value x, const LinearModule &module) {
    at(module.name);
    Value weight = weightRef(module);
    auto type = cast<WeightType>(weight.getType());
    Value bias;
    if (module.bias)
      bias = vectorRef(parameters.vector(module.name + ".bias", module.rows, "bias"));
    Value input = type.takesFloat() ? x : activations(x, type, module.input);
    at(module.name);
    return LinearOp::create(builder, loc, matrix(tokensOf(x), module.rows), input, weight, bias);
  }

  Value activations(Value x, WeightType weight, const std::string &input) {
    int64_t columns = weight.getColumns();
    auto type =
        ActType::get(builder.getContext(), tokensOf(x), columns, 128, weight.sumColumns(), weight.getRotation());
    Value &made = rotated[{x, type}];
    if (made)
      return made;
    if (!input.empty())
      at(input);
    Value signs;
    if (weight.getRotation())
      signs = vectorRef(parameters.signs(input, columns));
    return made = RotateOp::create(builder, loc, type, x, signs);
  }

  Value norm(Value x, const std::string &name) {
    at(name);
    Value weight = vectorRef(parameters.vector(name + ".weight", config.hiddenSize, "norm"));
    return RmsNormOp::create(builder, loc, x.getType(), x, weight, builder.getF64FloatAttr(config.rmsEps));
  }

  Value rope(Value x, uint32_t heads) {
    return RopeOp::create(builder, loc, x.getType(), x, position, builder.getI64IntegerAttr(heads),
                          builder.getI64IntegerAttr(config.headDim), builder.getF64FloatAttr(config.ropeTheta));
  }

  Value add(Value a, Value b) { return AddOp::create(builder, loc, a.getType(), a, b); }

  Value weightRef(const LinearModule &module) {
    WeightDeclOp decl = parameters.weight(module);
    return WeightRefOp::create(builder, loc, decl.getType(), decl.getSymName());
  }
  Value vectorRef(VectorDeclOp decl) { return VectorRefOp::create(builder, loc, decl.getType(), decl.getSymName()); }

  RankedTensorType matrix(int64_t tokens, int64_t columns) {
    return RankedTensorType::get({tokens, columns}, builder.getF32Type());
  }
  static int64_t tokensOf(Value x) { return cast<RankedTensorType>(x.getType()).getDimSize(0); }
  /// Ops that follow stand for this module of the checkpoint.
  void at(const std::string &name) { loc = NameLoc::get(builder.getStringAttr(name)); }

  const ModelConfig &config;
  ParameterImporter &parameters;
  OpBuilder builder;
  Value ids, position, cache;
  Location loc = builder.getUnknownLoc();
  llvm::DenseMap<std::pair<Value, Type>, Value> rotated;
};

} // namespace

OwningOpRef<ModuleOp> importModel(MLIRContext &context, const ModelConfig &config, const Checkpoint &checkpoint,
                                  const QuantConfig *quant, const ImportOptions &options) {
  context.loadDialect<QlrDialect, func::FuncDialect>();
  OpBuilder builder(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  ParameterImporter parameters(*module, checkpoint, quant);
  Type element = options.f32Cache ? Type(builder.getF32Type()) : Type(builder.getBF16Type());
  auto cache = CacheType::get(&context, config.layers, config.kvHeads, config.headDim, element);
  SmallVector<ForwardShape> shapes;
  for (int64_t tokens : options.chunks) {
    shapes.push_back({tokens, false});
    if (tokens > 1) // one token: its logits are all logits
      shapes.push_back({tokens, true});
  }
  for (const ForwardShape &shape : shapes) {
    Type ids = RankedTensorType::get({shape.tokens}, builder.getI32Type());
    Type position = RankedTensorType::get({}, builder.getI32Type());
    Type logits = RankedTensorType::get({shape.allLogits ? shape.tokens : 1, config.vocabSize}, builder.getF32Type());
    builder.setInsertionPointToEnd(module->getBody());
    auto func = func::FuncOp::create(builder, builder.getUnknownLoc(), shape.name(),
                                     builder.getFunctionType({ids, position, cache}, logits));
    ForwardBuilder(func, config, parameters).build(shape.allLogits);
  }
  if (failed(verify(*module)))
    fail({.file = checkpoint.directory(), .found = "a model whose graph is not valid (see above)"});
  return module;
}

} // namespace qlr
