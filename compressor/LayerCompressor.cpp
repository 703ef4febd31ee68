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

/// Added to the Hessian's diagonal, as a share of its mean.
constexpr double damping = 0.01;
/// Rounds of coordinate descent after LDLQ: the first lowers KL by 5 % at two bits, the next two by 1 %.
constexpr unsigned sweeps = 2;

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

void Activations::map(const std::vector<ActivationFile> &from, const std::vector<ActivationFile> &to,
                      const std::function<Batch(const Batch &)> &step) const {
  std::vector<MappedFile> files;
  for (const auto &[path, width] : from) {
    files.push_back(MappedFile::open(path));
    if (uint64_t expected = tokens() * width * sizeof(float); files.back().bytes().size() != expected)
      fail({.file = path,
            .found = std::to_string(files.back().bytes().size()) + " bytes",
            .expected = std::to_string(expected),
            .advice = "remove the work directory and begin again"});
  }
  std::vector<std::unique_ptr<FloatFileWriter>> writers;
  for (const ActivationFile &file : to)
    writers.push_back(std::make_unique<FloatFileWriter>(file.path));
  uint64_t few = std::max<uint64_t>(1, 2048 / length);
  for (uint64_t w = 0; w < windows; w += few) {
    int64_t count = static_cast<int64_t>(std::min(few, windows - w));
    Batch in;
    for (size_t i = 0; i < files.size(); ++i) {
      uint64_t width = from[i].width;
      in.push_back(at::empty({count, static_cast<int64_t>(length), static_cast<int64_t>(width)}, at::kFloat));
      std::memcpy(in.back().data_ptr(), files[i].bytes().data() + w * length * width * sizeof(float),
                  in.back().nbytes());
    }
    Batch out = step(in);
    for (size_t i = 0; i < writers.size(); ++i) {
      at::Tensor y = out[i].contiguous();
      writers[i]->write({y.data_ptr<float>(), static_cast<size_t>(y.numel())});
    }
  }
  for (auto &writer : writers)
    writer->finish();
}

LayerCompressor::LayerCompressor(const Context &context, uint32_t layer)
    : context(context), linears(layerModules(context.model, layer)), block(context.model, context.source, layer),
      original(block) {}

void LayerCompressor::advance(const HiddenFiles &hidden, const HiddenFiles &x, uint64_t width, const HiddenFiles &to,
                              const Sum &sum) const {
  uint64_t d = context.model.hiddenSize;
  auto step = [&](const Activations::Batch &in) {
    return Activations::Batch{sum(original, in[0], in[1]), sum(block, in[2], in[3])};
  };
  context.activations.map({{hidden.original, d}, {x.original, width}, {hidden.compressed, d}, {x.compressed, width}},
                          {{to.original, d}, {to.compressed, d}}, step);
  std::remove(x.original.c_str());
  std::remove(x.compressed.c_str());
}

void LayerCompressor::run(const HiddenFiles &in, const HiddenFiles &out, const std::string &scratch) {
  std::string prefix = linears.front().input.substr(0, linears.front().input.rfind('.') + 1);
  using Block = const Qwen2Block &;
  using Hidden = const at::Tensor &;
  HiddenFiles middle{scratch + "-original.bin", scratch + "-hidden.bin"};
  HiddenFiles x{scratch + "-x-original.bin", scratch + "-x.bin"};
  compressInput(prefix + "attn_in", in, [](Block b, Hidden h) { return b.attentionIn(h); }, nullptr);
  compressInput(prefix + "attn_out", in, [](Block b, Hidden h) { return b.attentionOut(b.attentionIn(h)); }, &x);
  advance(in, x, context.model.qRows(), middle, [](Block b, Hidden h, Hidden x) { return b.afterAttention(h, x); });
  compressInput(prefix + "mlp_in", middle, [](Block b, Hidden h) { return b.mlpIn(h); }, nullptr);
  compressInput(prefix + "mlp_out", middle, [](Block b, Hidden h) { return b.mlpOut(b.mlpIn(h)); }, &x);
  advance(middle, x, context.model.intermediateSize, out, [](Block b, Hidden h, Hidden x) { return b.afterMlp(h, x); });
  std::remove(middle.original.c_str());
  std::remove(middle.compressed.c_str());
}

void LayerCompressor::compressInput(const std::string &name, const HiddenFiles &from, const Part &x,
                                    const HiddenFiles *keep) {
  std::vector<const LinearModule *> fed;
  bool tiled = false;
  for (const LinearModule &module : linears)
    if (module.input == name) {
      fed.push_back(&module);
      tiled |= !context.config.modules.at(module.name).codec->isFloat();
    }
  Input input;
  int64_t columns = static_cast<int64_t>(fed.front()->columns);
  uint64_t width = context.model.hiddenSize, n = fed.front()->columns;
  if (tiled || keep) {
    Moment moment(columns, columns), drift(columns, columns), lack(context.model.hiddenSize, columns);
    std::vector<ActivationFile> kept;
    if (keep)
      kept = {{keep->original, n}, {keep->compressed, n}};
    context.activations.map({{from.original, width}, {from.compressed, width}}, kept, [&](const Activations::Batch &h) {
      at::Tensor before = x(original, h[0]), now = x(block, h[1]);
      if (tiled)
        moment.add(now, now);
      if (tiled && context.config.feedback) {
        drift.add(before - now, now);
        if (keep)
          lack.add(h[0] - h[1], now);
      }
      return Activations::Batch{before, now};
    });
    if (tiled)
      describeInput(input, name, moment, drift, keep ? &lack : nullptr);
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
      compressModule(*module, input);
    context.step(module->name);
  }
}

void LayerCompressor::describeInput(Input &input, const std::string &name, const Moment &moment, const Moment &drift,
                                    const Moment *lack) {
  at::Tensor second = moment.mean();
  uint64_t columns = second.size(0);
  input.rotation = Rotation(context.seed, name, columns, context.config.rotation);
  input.metric.emplace(input.rotation.applyToMoment(second), damping, name);
  if (context.config.feedback) {
    input.drift = input.metric->divide(input.rotation.applyToMoment(drift.mean()));
    if (lack)
      input.lack = input.metric->divide(input.rotation.apply(lack->mean()));
  }
  if (input.rotation.block())
    stored.push_back({name + ".signs", DType::U8, {(columns + 7) / 8}, bytesOf(input.rotation.packedSigns())});
}

void LayerCompressor::compressModule(const LinearModule &module, const Input &input) {
  const ModuleConfig &config = context.config.modules.at(module.name);
  const Rotation &rotation = input.rotation;
  at::Tensor weights = block.weight(module.name);
  if (!at::isfinite(weights).all().item<bool>())
    fail({.file = context.source.file(module.name + ".weight").path(),
          .tensor = module.name + ".weight",
          .found = "values that are not finite",
          .expected = "finite ones"});
  at::Tensor target = rotation.apply(weights.to(at::kDouble));
  if (input.drift.defined())
    target = target + target.mm(input.drift);
  if (input.lack.defined())
    target = target + input.lack;
  target = target.to(at::kFloat);
  DecomposeOptions options;
  options.quantize = {.feedback = context.config.feedback, .sweeps = context.config.feedback ? sweeps : 0};
  options.rank = config.rank;
  options.seed = context.seed;
  if (config.rank)
    options.factors = &Encoder::get(*config.factors);
  Decomposition result = decompose(target, Encoder::get(*config.codec), *input.metric, options);

  store(result.q, module.name + ".q", stored);
  ModuleQuant &quant = quants[module.name];
  if (result.factors) {
    store(result.factors->l, module.name + ".l", stored);
    store(result.factors->r, module.name + ".r", stored);
    quant.rank = config.rank;
    quant.factors = config.factors->name();
  }
  quant.rotation = rotation.block();
  if (rotation.block())
    quant.input = module.input;
  at::Tensor dense = rotation.undo(result.dense().to(at::kDouble)).to(at::kFloat);
  quant.correlation = rounded(correlation(weights, dense));
  double power = input.metric->error(target);
  quant.error = rounded(power > 0 ? result.error / power : 0.0);
  block.weight(module.name) = dense;
}
