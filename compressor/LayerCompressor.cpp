#include "compressor/LayerCompressor.h"

#include "compressor/FloatEncoder.h"
#include "compressor/WorkDirectory.h"
#include "runtime/format/Error.h"
#include "runtime/format/MappedFile.h"

#include <ATen/ATen.h>
#include <cstring>
#include <memory>

using namespace qlr;

namespace {

constexpr double damping = 0.01;
constexpr unsigned sweeps = 0;

template <typename T> std::vector<std::byte> bytesOf(const std::vector<T> &values) {
  std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

/// Pearson's correlation of all entries.
double correlation(const at::Tensor &a, const at::Tensor &b) {
  at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  x = x - x.mean();
  y = y - y.mean();
  double norm = std::sqrt(x.square().sum().item<double>() * y.square().sum().item<double>());
  return norm > 0 ? (x * y).sum().item<double>() / norm : 1.0;
}

/// Six digits, so that the text of config.json is short.
double rounded(double value) { return std::round(value * 1e6) / 1e6; }

} // namespace

void qlr::store(const Quantized &matrix, const std::string &name, std::vector<StoredTensor> &out) {
  const Codec &codec = matrix.encoder->codec();
  uint64_t rows = matrix.rows, columns = matrix.columns;
  out.push_back({name + ".codes",
                 DType::U8,
                 {stripCount(rows), columnTileCount(columns), codec.tileBytes()},
                 bytesOf(matrix.codes)});
  std::vector<uint64_t> shape = {paddedRowCount(rows)};
  if (codec.group())
    shape.push_back(codec.groupCount(columns));
  out.push_back({name + ".scales", DType::F16, shape, bytesOf(matrix.scales)});
}

uint64_t Activations::batch() const { return std::max<uint64_t>(1, 2048 / length); }

void Activations::map(const std::string &from, uint64_t width, const std::string &to,
                      const std::function<at::Tensor(const at::Tensor &)> &step) const {
  MappedFile file = MappedFile::open(from);
  if (file.bytes().size() != tokens() * width * sizeof(float))
    fail({.file = from,
          .found = std::to_string(file.bytes().size()) + " bytes",
          .expected = std::to_string(tokens() * width * sizeof(float)),
          .advice = "remove the work directory and begin again"});
  std::unique_ptr<FloatFileWriter> writer;
  if (!to.empty())
    writer = std::make_unique<FloatFileWriter>(to);
  const float *data = reinterpret_cast<const float *>(file.bytes().data());
  for (uint64_t w = 0; w < windows; w += batch()) {
    int64_t count = static_cast<int64_t>(std::min(batch(), windows - w));
    at::Tensor x = at::empty({count, static_cast<int64_t>(length), static_cast<int64_t>(width)}, at::kFloat);
    std::memcpy(x.data_ptr(), data + w * length * width, x.numel() * sizeof(float));
    at::Tensor y = step(x);
    if (writer) {
      y = y.contiguous();
      writer->write({y.data_ptr<float>(), static_cast<size_t>(y.numel())});
    }
  }
  if (writer)
    writer->finish();
}

LayerCompressor::LayerCompressor(const Context &context, uint32_t layer)
    : context(context), linears(layerModules(context.model, layer)), block(context.model, context.source, layer) {}

void LayerCompressor::run(const std::string &hiddenIn, const std::string &hiddenOut, const std::string &scratch) {
  std::string prefix = linears.front().input.substr(0, linears.front().input.rfind('.') + 1);
  uint64_t width = context.model.hiddenSize;
  auto attentionIn = [&](const at::Tensor &h) { return block.attentionIn(h); };
  auto attentionOut = [&](const at::Tensor &h) { return block.attentionOut(block.attentionIn(h)); };
  auto mlpIn = [&](const at::Tensor &h) { return block.mlpIn(h); };
  auto mlpOut = [&](const at::Tensor &h) { return block.mlpOut(block.mlpIn(h)); };
  compressInput(prefix + "attn_in", hiddenIn, attentionIn);
  compressInput(prefix + "attn_out", hiddenIn, attentionOut);
  context.activations.map(hiddenIn, width, scratch,
                          [&](const at::Tensor &h) { return block.afterAttention(h, attentionOut(h)); });
  compressInput(prefix + "mlp_in", scratch, mlpIn);
  compressInput(prefix + "mlp_out", scratch, mlpOut);
  context.activations.map(scratch, width, hiddenOut, [&](const at::Tensor &h) { return block.afterMlp(h, mlpOut(h)); });
  std::remove(scratch.c_str());
}

void LayerCompressor::compressInput(const std::string &input, const std::string &from,
                                    const std::function<at::Tensor(const at::Tensor &)> &x) {
  std::vector<const LinearModule *> fed;
  bool tiled = false;
  for (const LinearModule &module : linears)
    if (module.input == input) {
      fed.push_back(&module);
      tiled |= !context.config.modules.at(module.name).codec->isFloat();
    }
  std::optional<Metric> metric;
  std::optional<Rotation> rotation;
  if (tiled) {
    uint64_t columns = fed.front()->columns;
    SecondMoment moment(static_cast<int64_t>(columns));
    context.activations.map(from, context.model.hiddenSize, "", [&](const at::Tensor &h) {
      moment.add(x(h));
      return at::Tensor();
    });
    rotation.emplace(context.seed, input, columns, context.config.rotation);
    metric.emplace(rotation->applyToMoment(moment.mean()), damping, input);
    if (rotation->block())
      stored.push_back({input + ".signs", DType::U8, {(columns + 7) / 8}, bytesOf(rotation->packedSigns())});
  }
  for (const LinearModule *module : fed) {
    const Codec &codec = *context.config.modules.at(module->name).codec;
    ModuleQuant &quant = quants[module->name];
    quant.codec = codec.name();
    quant.shape = {module->rows, module->columns};
    quant.sourceHash = context.sourceHashes.at(module->name + ".weight");
    if (codec.isFloat())
      stored.push_back({module->name + ".weight",
                        floatCodecType(codec),
                        {module->rows, module->columns},
                        encodeFloats(codec, context.source, module->name + ".weight")});
    else
      compressModule(*module, *metric, &*rotation);
    context.step(module->name);
  }
}

void LayerCompressor::compressModule(const LinearModule &module, const Metric &metric, const Rotation *rotation) {
  const ModuleConfig &config = context.config.modules.at(module.name);
  at::Tensor original = block.weight(module.name);
  if (!at::isfinite(original).all().item<bool>())
    fail({.file = context.source.file(module.name + ".weight").path(),
          .tensor = module.name + ".weight",
          .found = "values that are not finite",
          .expected = "finite ones"});
  at::Tensor weights = rotation->apply(original.to(at::kDouble)).to(at::kFloat);
  DecomposeOptions options;
  options.quantize = {.feedback = context.config.feedback, .sweeps = context.config.feedback ? sweeps : 0};
  options.rank = config.rank;
  options.seed = context.seed;
  if (config.rank)
    options.factors = &Encoder::get(*config.factors);
  Decomposition result = decompose(weights, Encoder::get(*config.codec), metric, options);

  store(result.q, module.name + ".q", stored);
  ModuleQuant &quant = quants[module.name];
  if (result.factors) {
    store(result.factors->l, module.name + ".l", stored);
    store(result.factors->r, module.name + ".r", stored);
    quant.rank = config.rank;
    quant.factors = config.factors->name();
  }
  quant.rotation = rotation->block();
  if (rotation->block())
    quant.input = module.input;
  at::Tensor dense = rotation->undo(result.dense().to(at::kDouble)).to(at::kFloat);
  quant.correlation = rounded(correlation(original, dense));
  double power = metric.error(weights);
  quant.error = rounded(power > 0 ? result.error / power : 0.0);
  block.weight(module.name) = dense;
}
