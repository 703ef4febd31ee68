#include "compressor/CheckpointOutput.h"

#include "compressor/FloatEncoder.h"
#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <ATen/ATen.h>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

using namespace qlr;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// Names and shapes first, bytes when their turn comes.
struct Planned {
  std::string name;
  DType type;
  std::vector<uint64_t> shape;
  std::function<void(SafetensorsWriter &)> write;
};

/// The parts of `quantization_config` that parse again: a minimal file around the modules.
std::string modulesText(const std::map<std::string, ModuleQuant> &modules) {
  QuantConfig config;
  config.modules = modules;
  return config.toJson().at("modules").dump();
}

ModuleQuant parseModule(const json &entry) {
  ModuleQuant module;
  module.codec = entry.at("codec");
  module.shape = entry.at("shape");
  module.rank = entry.value("rank", 0u);
  module.factors = entry.value("factors", "");
  module.rotation = entry.value("rotation", 0u);
  module.input = entry.value("input", "");
  module.sourceHash = entry.value("source_hash", "");
  if (entry.contains("correlation"))
    module.correlation = entry["correlation"].get<double>();
  if (entry.contains("error"))
    module.error = entry["error"].get<double>();
  return module;
}

std::string shortestText(double value) {
  char text[32];
  auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

class Output {
public:
  Output(const LayerCompressor::Context &context, QuantConfig &quant) : context(context), quant(quant) {}

  void addOriginal(const std::string &tensor) {
    const TensorInfo &info = context.source.info(tensor);
    planned.push_back({tensor, info.dtype, info.shape,
                       [this, tensor](SafetensorsWriter &w) { w.write(context.source.data(tensor)); }});
  }

  /// Embedding or head: rows encoded by themselves, a few thousand at a time.
  void addTable(const std::string &module) {
    const Codec &codec = *context.config.modules.at(module).codec;
    uint64_t rows = context.model.vocabSize, columns = context.model.hiddenSize;
    ModuleQuant &entry = quant.modules[module];
    entry.codec = codec.name();
    entry.shape = {rows, columns};
    entry.sourceHash = context.sourceHashes.at(module + ".weight");
    if (codec.isFloat()) {
      planned.push_back({module + ".weight", floatCodecType(codec), {rows, columns}, [this, module, &codec](auto &w) {
                           w.write(encodeFloats(codec, context.source, module + ".weight"));
                         }});
      return;
    }
    codecs.insert(&codec);
    auto encoded = std::make_shared<std::vector<StoredTensor>>(encodeTable(module, codec, entry));
    for (size_t i = 0; i < encoded->size(); ++i) {
      const StoredTensor &t = (*encoded)[i];
      planned.push_back({t.name, t.type, t.shape, [encoded, i](auto &w) { w.write((*encoded)[i].bytes); }});
    }
  }

  void addLayer(uint32_t layer, const std::string &path) {
    auto file = std::make_shared<SafetensorsFile>(SafetensorsFile::open(path));
    json modules = parseJson(file->metadata().at("modules"), path);
    for (const auto &[name, entry] : modules.items()) {
      ModuleQuant module = parseModule(entry);
      codecs.insert(&Codec::get(module.codec));
      if (module.rank)
        codecs.insert(&Codec::get(module.factors));
      quant.modules[name] = module;
    }
    std::string prefix = "model.layers." + std::to_string(layer) + ".";
    addOriginal(prefix + "input_layernorm.weight");
    addOriginal(prefix + "post_attention_layernorm.weight");
    for (const LinearModule &module : layerModules(context.model, layer))
      if (module.bias)
        addOriginal(module.name + ".bias");
    for (const auto &[name, info] : file->tensors())
      planned.push_back({name, info.dtype, info.shape, [file, name = name](auto &w) { w.write(file->data(name)); }});
  }

  void addLevels() {
    for (const Codec *codec : codecs) {
      if (codec->isFloat() || !codec->levelCount())
        continue;
      const Encoder &encoder = Encoder::get(*codec);
      std::string name = "levels." + codec->name();
      units[name + ".unit"] = shortestText(encoder.levelUnit());
      planned.push_back(
          {name, DType::I8, {codec->levelCount()}, [&encoder](auto &w) { w.write(std::as_bytes(encoder.levels())); }});
    }
  }

  uint64_t write(const std::string &path) {
    SafetensorsWriter writer(path);
    writer.setMetadata("format", "pt");
    for (const auto &[key, value] : units)
      writer.setMetadata(key, value);
    for (const Planned &tensor : planned)
      writer.declare(tensor.name, tensor.type, tensor.shape);
    writer.begin();
    for (const Planned &tensor : planned) {
      tensor.write(writer);
      context.step(tensor.name);
    }
    writer.finish();
    for (const auto &[name, hash] : writer.hashes())
      quant.tensors[name] = hash;
    return writer.dataBytes();
  }

private:
  std::vector<StoredTensor> encodeTable(const std::string &module, const Codec &codec, ModuleQuant &entry) {
    const std::string tensor = module + ".weight";
    const Encoder &encoder = Encoder::get(codec);
    int64_t rows = context.model.vocabSize, columns = context.model.hiddenSize;
    at::Tensor weights = loadFloats(context.source, tensor);
    Quantized whole;
    whole.encoder = &encoder;
    whole.rows = rows;
    whole.columns = columns;
    double xy = 0, xx = 0, yy = 0;
    constexpr int64_t chunk = 4096; // a multiple of the tile's rows
    for (int64_t r = 0; r < rows; r += chunk) {
      at::Tensor part = weights.slice(0, r, std::min(r + chunk, rows)).contiguous();
      Quantized q = quantizePlain(part, encoder);
      whole.codes.insert(whole.codes.end(), q.codes.begin(), q.codes.end());
      whole.scales.insert(whole.scales.end(), q.scales.begin(), q.scales.end());
      xy += (part * q.dense).sum(at::kDouble).item<double>();
      xx += part.square().sum(at::kDouble).item<double>();
      yy += q.dense.square().sum(at::kDouble).item<double>();
      context.step(tensor);
    }
    entry.correlation = std::round((xx * yy > 0 ? xy / std::sqrt(xx * yy) : 1.0) * 1e6) / 1e6;
    std::vector<StoredTensor> out;
    store(whole, module + ".q", out);
    return out;
  }

  struct ByName {
    bool operator()(const Codec *a, const Codec *b) const { return a->name() < b->name(); }
  };

  const LayerCompressor::Context &context;
  QuantConfig &quant;
  std::vector<Planned> planned;
  std::set<const Codec *, ByName> codecs;
  std::map<std::string, std::string> units;
};

/// Removes a directory unless told to keep it.
struct Scratch {
  std::string path;
  bool keep = false;
  ~Scratch() {
    std::error_code ignored;
    if (!keep)
      fs::remove_all(path, ignored);
  }
};

} // namespace

void qlr::writeLayer(const std::string &path, const std::vector<StoredTensor> &tensors,
                     const std::map<std::string, ModuleQuant> &modules) {
  SafetensorsWriter writer(path);
  writer.setMetadata("modules", modulesText(modules));
  for (const StoredTensor &tensor : tensors)
    writer.declare(tensor.name, tensor.type, tensor.shape);
  writer.begin();
  for (const StoredTensor &tensor : tensors)
    writer.write(tensor.bytes);
  writer.finish();
}

void qlr::checkOutput(const std::string &out) {
  std::error_code error;
  if (fs::exists(out, error) && !(fs::is_directory(out, error) && fs::is_empty(out, error)))
    fail({.file = out,
          .found = "something there already",
          .expected = "no file or an empty directory",
          .advice = "remove it or name another with -o"});
  fs::path parent = fs::absolute(out).parent_path();
  if (!fs::is_directory(parent, error))
    fail({.file = out, .found = "no directory " + parent.string(), .expected = "one to write into"});
}

uint64_t qlr::writeCheckpoint(const std::string &out, const LayerCompressor::Context &context, QuantConfig quant,
                              const std::vector<std::string> &layerFiles) {
  checkOutput(out);
  fs::path target = fs::absolute(out);
  if (target.filename().empty())
    target = target.parent_path();
  Scratch scratch{target.string() + ".part"};
  fs::remove_all(scratch.path);
  fs::create_directory(scratch.path);

  Output output(context, quant);
  output.addTable("model.embed_tokens");
  for (uint32_t layer = 0; layer < layerFiles.size(); ++layer)
    output.addLayer(layer, layerFiles[layer]);
  output.addOriginal("model.norm.weight");
  if (!context.model.tiedHead)
    output.addTable("lm_head");
  output.addLevels();
  uint64_t bytes = output.write(joinPath(scratch.path, "model.safetensors"));

  json config = context.model.raw;
  config["quantization_config"] = quant.toJson();
  std::ofstream stream(joinPath(scratch.path, "config.json"), std::ios::binary);
  stream << config.dump(2) << "\n";
  stream.close();
  if (!stream)
    throw Error(scratch.path + "/config.json: cannot be written");
  for (const char *name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "vocab.json",
                           "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"})
    if (std::string file = joinPath(context.source.directory(), name); fileExists(file)) {
      fs::copy_file(file, joinPath(scratch.path, name));
      fs::permissions(joinPath(scratch.path, name), fs::perms::owner_write, fs::perm_options::add);
    }
  fs::remove(target); // an empty directory
  fs::rename(scratch.path, target);
  scratch.keep = true;
  return bytes;
}
