#include "runtime/exec/Inspect.h"

#include "runtime/exec/Cpu.h"
#include "runtime/exec/Dequantize.h"
#include "runtime/exec/ThreadPool.h"
#include "runtime/format/Error.h"
#include "runtime/format/Half.h"
#include "runtime/format/Hash.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

namespace qlr {
namespace {

TensorReport describeTensor(const TensorInfo &info) {
  return {info.name, dtypeName(info.dtype), info.shape, info.bytes()};
}

bool isDecoder(const std::string &module) { return module.rfind("model.layers.", 0) == 0; }

/// A linear or an embedding stored as plain rows.
std::optional<ModuleReport> plainModule(const TensorInfo &info) {
  const std::string suffix = ".weight";
  if (info.shape.size() != 2 || !info.name.ends_with(suffix))
    return std::nullopt;
  ModuleReport module;
  module.name = info.name.substr(0, info.name.size() - suffix.size());
  module.codec = dtypeName(info.dtype);
  std::transform(module.codec.begin(), module.codec.end(), module.codec.begin(),
                 [](char c) { return std::tolower(c); });
  module.rows = info.shape[0];
  module.columns = info.shape[1];
  module.bytes = info.bytes();
  module.decoder = isDecoder(module.name);
  return module;
}

/// A linear that an artifact holds as plain rows, by the artifact's provenance.
std::optional<ModuleReport> plainRows(const LinearModule &linear, const nlohmann::json &provenance) {
  auto plain = provenance.find("plain");
  if (plain == provenance.end() || !plain->is_object() || !plain->contains(linear.name))
    return std::nullopt;
  const nlohmann::json &codec = plain->at(linear.name);
  if (codec != "bf16" && codec != "f32")
    return std::nullopt;
  ModuleReport module;
  module.name = linear.name;
  module.codec = codec.get<std::string>();
  module.rows = linear.rows;
  module.columns = linear.columns;
  module.bytes = Codec::get(module.codec).codeBytes(linear.rows, linear.columns);
  module.decoder = isDecoder(linear.name);
  return module;
}

/// All but the bytes.
ModuleReport describeModule(const std::string &name, const ModuleQuant &module) {
  ModuleReport entry;
  entry.name = name;
  entry.codec = module.codec;
  entry.factors = module.rank ? module.factors : "";
  entry.rows = module.shape[0];
  entry.columns = module.shape[1];
  entry.rank = module.rank;
  entry.rotation = module.rotation;
  entry.decoder = isDecoder(name);
  entry.recorded = module.correlation;
  return entry;
}

void checkHashes(const Checkpoint &checkpoint, const QuantConfig &quant) {
  std::vector<std::pair<std::string, std::string>> hashes(quant.tensors.begin(), quant.tensors.end());
  std::mutex mutex;
  size_t wrong = hashes.size();
  for (const auto &[name, hash] : hashes)
    checkpoint.info(name);
  ThreadPool pool(usableCores());
  pool.parallelFor(hashes.size(), 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i)
      if (xxh64Hex(checkpoint.data(hashes[i].first)) != hashes[i].second) {
        std::lock_guard lock(mutex);
        wrong = std::min<size_t>(wrong, i);
      }
  });
  if (wrong < hashes.size())
    fail({.file = checkpoint.file(hashes[wrong].first).path(),
          .tensor = hashes[wrong].first,
          .found = "hash " + xxh64Hex(checkpoint.data(hashes[wrong].first)),
          .expected = hashes[wrong].second,
          .advice = "the file is damaged: compress or copy it again"});
}

/// Bits of the decoder's linears, with what they share.
std::optional<double> bitsPerWeight(const std::vector<ModuleReport> &modules, uint64_t sharedBytes) {
  double weights = 0, bytes = static_cast<double>(sharedBytes);
  for (const ModuleReport &module : modules)
    if (module.decoder) {
      weights += static_cast<double>(module.rows) * static_cast<double>(module.columns);
      bytes += static_cast<double>(module.bytes);
    }
  if (weights == 0)
    return std::nullopt;
  return 8 * bytes / weights;
}

/// Bytes of signs and of the level tables that decoder linears use.
uint64_t sharedBytes(const Checkpoint &checkpoint, const QuantConfig &quant) {
  std::set<std::string> tensors;
  for (const auto &[name, module] : quant.modules) {
    if (!isDecoder(name))
      continue;
    if (module.rotation)
      tensors.insert(module.input + ".signs");
    for (const std::string &codec : {module.codec, module.rank ? module.factors : std::string()})
      if (!codec.empty() && Codec::get(codec).levelCount())
        tensors.insert("levels." + codec);
  }
  uint64_t bytes = 0;
  for (const std::string &tensor : tensors)
    bytes += checkpoint.info(tensor).bytes();
  return bytes;
}

uint64_t fileBytes(const std::string &path) { return std::filesystem::file_size(path); }

/// Sums for Pearson's correlation.
struct Moments {
  double n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
  void add(const Moments &other) {
    n += other.n;
    a += other.a;
    b += other.b;
    aa += other.aa;
    bb += other.bb;
    ab += other.ab;
  }
  double correlation() const {
    double covariance = ab - a * b / n, varianceA = aa - a * a / n, varianceB = bb - b * b / n;
    return varianceA > 0 && varianceB > 0 ? covariance / std::sqrt(varianceA * varianceB) : 0;
  }
};

/// Element `i` of a float tensor.
float elementAt(const std::byte *data, DType dtype, uint64_t i) {
  if (dtype == DType::F32) {
    float value;
    std::memcpy(&value, data + 4 * i, 4);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, data + 2 * i, 2);
  return dtype == DType::BF16 ? bf16ToF32(half) : f16ToF32(half);
}

double correlate(const StoredLinear &stored, uint64_t rows, uint64_t columns, const Checkpoint &reference,
                 const std::string &tensor, ThreadPool &pool) {
  const TensorInfo &info = reference.info(tensor);
  if (info.shape != std::vector<uint64_t>{rows, columns} ||
      (info.dtype != DType::F32 && info.dtype != DType::F16 && info.dtype != DType::BF16))
    fail({.file = reference.file(tensor).path(),
          .tensor = tensor,
          .found = std::string(dtypeName(info.dtype)) + " " + shapeText(info.shape),
          .expected = "floats " + shapeText({rows, columns}),
          .advice = "give the checkpoint that was compressed"});
  const std::byte *data = reference.data(tensor).data();
  std::vector<Moments> parts(stored.strips());
  pool.parallelFor(stored.strips(), 1, [&](uint64_t begin, uint64_t end) {
    std::vector<float> strip;
    for (uint64_t s = begin; s < end; ++s) {
      stored.decodeStrip(s, strip);
      Moments &sums = parts[s];
      uint64_t first = s * tileRows * columns, count = std::min<uint64_t>(tileRows, rows - s * tileRows) * columns;
      for (uint64_t i = 0; i < count; ++i) {
        double a = strip[i], b = elementAt(data, info.dtype, first + i);
        sums.add({1, a, b, a * a, b * b, a * b});
      }
    }
  });
  Moments total;
  for (const Moments &part : parts)
    total.add(part);
  return total.correlation();
}

} // namespace

Report inspectFile(const std::string &path) {
  SafetensorsFile file = SafetensorsFile::open(path);
  Report report;
  report.path = path;
  report.kind = "safetensors file";
  report.bytes = fileBytes(path);
  for (const auto &[name, info] : file.tensors())
    report.tensors.push_back(describeTensor(info));
  for (const auto &[key, value] : file.metadata())
    report.provenance[key] = value;
  return report;
}

Report inspectArtifact(const Artifact &artifact) {
  Report report = inspectFile(artifact.path());
  report.kind = "artifact";
  report.provenance = artifact.provenance();
  std::optional<std::string_view> text = artifact.tokenizerFile("config.json");
  if (!text)
    return report;
  ModelConfig config = ModelConfig::parse(*text, artifact.path() + "/config.json");
  std::optional<QuantConfig> quant = QuantConfig::fromConfig(config);
  uint64_t shared = 0;
  std::set<std::string> seen; // what modules share is counted once
  for (uint32_t layer = 0; layer < config.layers; ++layer)
    for (const LinearModule &linear : layerModules(config, layer)) {
      const ModuleQuant *stored = quant ? quant->find(linear.name) : nullptr;
      if (!stored) {
        std::optional<ModuleReport> plain = plainRows(linear, report.provenance);
        if (!plain) { // of a compiler that did not write down what plain rows are
          report.modules.clear();
          return report;
        }
        report.modules.push_back(*plain);
        continue;
      }
      ModuleReport entry = describeModule(linear.name, *stored);
      const Codec &codec = Codec::get(stored->codec);
      entry.bytes = codec.codeBytes(entry.rows, entry.columns) + codec.scaleBytes(entry.rows, entry.columns);
      if (entry.rank) {
        const Codec &factors = Codec::get(entry.factors);
        entry.bytes += factors.codeBytes(entry.rows, entry.rank) + factors.scaleBytes(entry.rows, entry.rank) +
                       factors.codeBytes(entry.rank, entry.columns) + factors.scaleBytes(entry.rank, entry.columns);
        if (seen.insert(entry.factors).second)
          shared += factors.levelCount();
      }
      if (seen.insert(entry.codec).second)
        shared += codec.levelCount();
      if (entry.rotation && seen.insert(stored->input).second)
        shared += (entry.columns + 7) / 8;
      report.modules.push_back(entry);
    }
  report.bitsPerWeight = bitsPerWeight(report.modules, shared);
  return report;
}

Report inspectDirectory(const std::string &path) {
  ModelConfig config = ModelConfig::load(path);
  std::optional<QuantConfig> quant = QuantConfig::fromConfig(config);
  Checkpoint checkpoint = Checkpoint::open(path);
  Report report;
  report.path = path;
  report.kind = quant ? "compressed checkpoint" : "checkpoint";
  for (const SafetensorsFile &file : checkpoint.files())
    report.bytes += fileBytes(file.path());
  for (const std::string &name : checkpoint.names()) {
    const TensorInfo &info = checkpoint.info(name);
    report.tensors.push_back(describeTensor(info));
    if (std::optional<ModuleReport> module = plainModule(info))
      report.modules.push_back(*module);
  }
  uint64_t shared = 0;
  if (quant) {
    checkHashes(checkpoint, *quant);
    shared = sharedBytes(checkpoint, *quant);
    for (const auto &[name, module] : quant->modules) {
      if (Codec::get(module.codec).isFloat())
        continue; // stored, and reported above, as plain rows
      ModuleReport entry = describeModule(name, module);
      entry.bytes = StoredLinear(checkpoint, name, module).bytes();
      report.modules.push_back(entry);
    }
    std::sort(report.modules.begin(), report.modules.end(),
              [](const ModuleReport &a, const ModuleReport &b) { return a.name < b.name; });
    report.provenance = {{"seed", quant->seed},
                         {"rotation", quant->rotation},
                         {"feedback", quant->feedback},
                         {"configuration_hash", quant->configurationHash},
                         {"calibration",
                          {{"hash", quant->calibrationHash},
                           {"windows", quant->calibrationWindows},
                           {"length", quant->calibrationLength}}}};
  }
  report.bitsPerWeight = bitsPerWeight(report.modules, shared);
  return report;
}

void addMemory(Report &report, const Plan &plan, std::optional<uint32_t> context, const DeviceOptions &options) {
  const uint64_t available = options.memoryLimit ? options.memoryLimit : UINT64_MAX;
  std::vector<PlanRegion> onHost;
  if (plan.target.starts_with("sm_")) // runs in memory that is not the host's
    onHost = regionsOnHost(plan, options, report.path);
  report.target = plan.target;
  report.context = chooseContext(plan, context, available, false, report.path, onHost);
  report.memory = memoryNeed(plan, report.context, false, Plan::maxTokens, onHost);
}

void addCorrelations(Report &report, const std::string &referencePath) {
  ModelConfig config = ModelConfig::load(report.path);
  std::optional<QuantConfig> quant = QuantConfig::fromConfig(config);
  if (!quant)
    fail({.file = report.path, .found = "an uncompressed checkpoint", .expected = "a compressed one to compare"});
  Checkpoint checkpoint = Checkpoint::open(report.path), reference = Checkpoint::open(referencePath);
  ThreadPool pool(usableCores());
  for (ModuleReport &module : report.modules) {
    const ModuleQuant *stored = quant->find(module.name);
    if (!stored || Codec::get(stored->codec).isFloat())
      continue;
    std::string tensor = module.name + ".weight";
    if (module.name == "lm_head" && !reference.has(tensor))
      tensor = "model.embed_tokens.weight"; // tied there
    module.correlation =
        correlate(StoredLinear(checkpoint, module.name, *stored), module.rows, module.columns, reference, tensor, pool);
  }
}

} // namespace qlr
