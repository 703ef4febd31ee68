#include "compressor/Estimate.h"

#include "compressor/LowRank.h"
#include "compressor/Random.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <chrono>
#include <map>

using namespace qlr;

namespace {

double seconds(const std::function<void()> &work) {
  auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// What this machine does a second, measured in a tenth of one.
class Machine {
public:
  Machine() {
    at::Tensor a = at::ones({768, 768}, at::kFloat);
    at::Tensor b = a.mm(a); // warms up
    double time = seconds([&] { b = a.mm(a); });
    flops = 2.0 * 768 * 768 * 768 / std::max(time, 1e-6);
  }

  double flops;

  /// Weights a second for an encoder.
  double encodingRate(const Codec &codec) {
    auto [it, fresh] = rates.try_emplace(codec.name(), 0.0);
    if (fresh) {
      constexpr size_t tiles = 256;
      Random random(1);
      std::vector<float> x(tiles * tileWeights), values(x.size());
      for (float &v : x)
        v = static_cast<float>(random.normal());
      std::vector<uint8_t> codes(tiles * codec.tileBytes());
      const Encoder &encoder = Encoder::get(codec);
      double time = seconds([&] { encoder.encode(x.data(), tiles, codes.data(), values.data()); });
      it->second = double(x.size()) / std::max(time, 1e-7) * at::get_num_threads();
    }
    return it->second;
  }

private:
  std::map<std::string, double> rates;
};

double storedBytes(const Codec &codec, double rows, double columns) {
  return double(codec.codeBytes(uint64_t(rows), uint64_t(columns)) +
                codec.scaleBytes(uint64_t(rows), uint64_t(columns)));
}

} // namespace

CompressEstimate qlr::estimateCompression(const ModelConfig &model, const CompressConfig &config, uint64_t windows,
                                          uint64_t length) {
  Machine machine;
  CompressEstimate sum;
  double tokens = double(windows) * double(length), hidden = model.hiddenSize;
  double linearBytes = 0, linearWeights = 0, blockWeights = 0, widest = 0, tallest = 0, ranked = 0;
  for (uint32_t layer = 0; layer < model.layers; ++layer) {
    std::map<std::string, double> inputs;
    double weights = 0;
    for (const LinearModule &module : layerModules(model, layer)) {
      const ModuleConfig &entry = config.modules.at(module.name);
      double rows = double(module.rows), columns = double(module.columns), n = rows * columns;
      weights += n;
      double bytes = storedBytes(*entry.codec, rows, columns);
      if (entry.rank)
        bytes += storedBytes(*entry.factors, rows, entry.rank) + storedBytes(*entry.factors, entry.rank, columns);
      linearBytes += bytes;
      // Each linear runs once, in the original and in the compressed model.
      sum.seconds += 2 * 2 * tokens * n / machine.flops;
      if (entry.codec->isFloat())
        continue;
      inputs[module.input] = columns;
      DecomposeOptions defaults;
      // LDLQ and two sweeps; with factors another sweep in every round.
      double passes = entry.rank ? 3 + defaults.rounds + defaults.descents : 3;
      sum.seconds += passes * (n / machine.encodingRate(*entry.codec) + 5 * n * columns / machine.flops);
      if (entry.rank) {
        double rank = entry.rank, fits = 1 + defaults.rounds;
        sum.seconds += fits * (2 * n * 2 * (rank + 16) * 10 + 6 * columns * columns * rank) / machine.flops;
        // Errors in fp64, three times a round; the metric less what L answers; matrices as they are and at their best.
        sum.seconds += 3 * fits * 4 * n * columns / machine.flops;
        ranked = std::max(ranked, columns * columns * 4 + n * 12);
      }
      widest = std::max(widest, columns);
      tallest = std::max(tallest, n);
    }
    // Second moments in fp32, factored in fp64 at half the rate.
    for (const auto &[input, n] : inputs)
      sum.seconds += (4 * tokens * n * n + 4 * (n * n * n / 3 + 4 * n * n * 4)) / machine.flops;
    sum.seconds += 2 * 4 * tokens * double(length) * model.qRows() / machine.flops;
    linearWeights += weights;
    blockWeights = std::max(blockWeights, weights);
  }
  double tables = 0, tableBytes = 0;
  for (const char *name : {"model.embed_tokens", "lm_head"})
    if (auto it = config.modules.find(name); it != config.modules.end()) {
      double n = double(model.vocabSize) * hidden;
      tables = std::max(tables, n * (it->second.codec->isFloat() ? 4 : 5));
      tableBytes += storedBytes(*it->second.codec, model.vocabSize, hidden);
    }
  double batch = std::max<double>(2048, double(length));
  double activations =
      batch * (4 * double(model.intermediateSize) + 6 * hidden) * 4 + batch * double(length) * model.heads * 8;
  // fp32 weights of the block; for the widest input moment, Hessian, factors and their temporaries; for the largest
  // matrix its rotated copy, targets, values and errors; for factors what their rounds keep.
  sum.memoryBytes =
      3e8 + std::max(8 * blockWeights + widest * widest * 76 + tallest * 40 + ranked + activations, tables);
  sum.outputBytes = linearBytes + tableBytes;
  sum.workBytes = (4 * hidden + 2 * double(std::max(model.intermediateSize, model.qRows()))) * tokens * 4 + linearBytes;
  sum.bitsPerWeight = linearWeights > 0 ? 8 * linearBytes / linearWeights : 0;
  return sum;
}

std::string qlr::durationText(double seconds) {
  char text[64];
  long s = std::lround(seconds);
  if (s < 60)
    std::snprintf(text, sizeof text, "%ld s", s);
  else if (s < 3600)
    std::snprintf(text, sizeof text, "%ld min %02ld s", s / 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%ld h %02ld min", s / 3600, s / 60 % 60);
  return text;
}

std::string qlr::bytesText(double bytes) {
  char text[64];
  const char *units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  std::snprintf(text, sizeof text, bytes < 10 ? "%.2f %s" : bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
  return text;
}

std::string CompressEstimate::text() const {
  char bits[32];
  std::snprintf(bits, sizeof bits, "%.3f", bitsPerWeight);
  return "memory " + bytesText(memoryBytes) + ", disk " + bytesText(workBytes + outputBytes) + " (work directory " +
         bytesText(workBytes) + ", checkpoint " + bytesText(outputBytes) + "), time about " + durationText(seconds) +
         ", " + bits + " bits a weight in the linears";
}
