#include "runtime/format/QuantConfig.h"
#include "runtime/format/Codec.h"
#include "runtime/format/Error.h"
#include "runtime/format/Json.h"
#include "runtime/format/MappedFile.h"

namespace qlr {

using nlohmann::json;

namespace {

constexpr const char *compressAgain = "compress the model again with this version of qlr";

/// module -> rows, columns, for everything that can be compressed.
std::map<std::string, LinearModule> knownModules(const ModelConfig &config) {
  std::map<std::string, LinearModule> modules;
  for (uint32_t layer = 0; layer < config.layers; ++layer)
    for (LinearModule &module : layerModules(config, layer))
      modules[module.name] = module;
  LinearModule table{"model.embed_tokens", config.vocabSize, config.hiddenSize, false, ""};
  modules[table.name] = table;
  if (!config.tiedHead) {
    table.name = "lm_head";
    modules[table.name] = table;
  }
  return modules;
}

std::string knownCodec(const JsonObject &object, const char *key) {
  std::string name = object.string(key);
  if (!Codec::find(name)) {
    std::string known;
    for (const Codec *codec : Codec::all())
      known += (known.empty() ? "" : ", ") + codec->name();
    object.refuse(key, object.find(key), "one of " + known, "the checkpoint needs another version of qlr");
  }
  return name;
}

bool isHash(const std::string &text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

ModuleQuant parseModule(const JsonObject &object, const LinearModule &known) {
  ModuleQuant module;
  module.codec = knownCodec(object, "codec");
  const json &shape = object.array("shape", 2);
  if (shape.size() != 2 || shape[0] != known.rows || shape[1] != known.columns)
    fail({.file = object.file(),
          .tensor = object.path("shape"),
          .found = shape.dump(),
          .expected = "[" + std::to_string(known.rows) + ", " + std::to_string(known.columns) +
                      "] by the other keys of the file",
          .advice = compressAgain});
  module.shape = {known.rows, known.columns};
  bool isFloat = Codec::get(module.codec).isFloat();
  uint64_t maxRank = isFloat ? 0 : std::min(known.rows, known.columns);
  module.rank = static_cast<uint32_t>(object.optionalInteger("rank", 0, maxRank).value_or(0));
  if (module.rank != 0 || object.find("factors"))
    module.factors = knownCodec(object, "factors");
  if (module.rank != 0 && Codec::get(module.factors).isFloat())
    object.refuse("factors", object.find("factors"), "a tiled codec");
  module.rotation = static_cast<uint32_t>(object.optionalInteger("rotation", 0, 128).value_or(0));
  module.input = object.string("input", "");
  if (module.rotation != 0) {
    if (isFloat)
      object.refuse("rotation", object.find("rotation"), "0: plain rows are never rotated");
    if (module.rotation != rotationBlock(known.columns) || known.input.empty())
      object.refuse("rotation", object.find("rotation"),
                    known.input.empty() ? "0: this module's input is never rotated"
                                        : "0 or " + std::to_string(rotationBlock(known.columns)));
    if (module.input != known.input)
      object.refuse("input", object.find("input"), known.input);
  }
  module.sourceHash = object.string("source_hash", "");
  module.correlation = object.optionalNumber("correlation", -1e6, 1e6);
  module.error = object.optionalNumber("error", -1e6, 1e6);
  return module;
}

} // namespace

uint32_t rotationBlock(uint64_t columns, uint32_t limit) {
  uint32_t block = 1;
  while (block * 2 <= limit && columns != 0 && columns % (block * 2) == 0)
    block *= 2;
  return block;
}

std::optional<QuantConfig> QuantConfig::load(const std::string &dir) { return fromConfig(ModelConfig::load(dir)); }

std::optional<QuantConfig> QuantConfig::fromConfig(const ModelConfig &config) {
  JsonObject root(config.raw, config.path);
  if (!root.find("quantization_config"))
    return std::nullopt;
  JsonObject object = root.object("quantization_config");
  if (object.string("quant_method") != "qlr")
    object.refuse("quant_method", object.find("quant_method"), "qlr",
                  "models compressed by other programs cannot be read; start from the uncompressed model");
  QuantConfig result;
  if (object.integer("version", 0, 1u << 30) != 1)
    object.refuse("version", object.find("version"), "1", compressAgain);
  result.seed = object.optionalInteger("seed", 0, UINT64_MAX).value_or(0);
  result.rotation = static_cast<uint32_t>(object.optionalInteger("rotation", 0, 128).value_or(0));
  result.feedback = object.string("feedback", "");
  result.configurationHash = object.string("configuration_hash", "");
  if (object.find("calibration")) {
    JsonObject calibration = object.object("calibration");
    result.calibrationHash = calibration.string("hash", "");
    result.calibrationWindows = calibration.optionalInteger("windows", 0, UINT64_MAX).value_or(0);
    result.calibrationLength = calibration.optionalInteger("length", 0, UINT64_MAX).value_or(0);
  }

  std::map<std::string, LinearModule> known = knownModules(config);
  JsonObject modules = object.object("modules");
  for (const auto &[name, value] : object.at("modules").items()) {
    auto it = known.find(name);
    if (it == known.end())
      modules.refuse(name.c_str(), &value, "modules of this model only", compressAgain);
    result.modules[name] = parseModule(modules.object(name.c_str()), it->second);
  }
  if (const json *tensors = object.find("tensors")) {
    JsonObject hashes = object.object("tensors");
    for (const auto &[name, value] : tensors->items()) {
      if (!value.is_string() || !isHash(value.get<std::string>()))
        hashes.refuse(name.c_str(), &value, "16 hexadecimal digits");
      result.tensors[name] = value.get<std::string>();
    }
  }
  return result;
}

json QuantConfig::toJson() const {
  json list = json::object();
  for (const auto &[name, module] : modules) {
    json &entry = list[name];
    entry = {{"codec", module.codec},
             {"shape", module.shape},
             {"rank", module.rank},
             {"rotation", module.rotation},
             {"source_hash", module.sourceHash}};
    if (!module.factors.empty())
      entry["factors"] = module.factors;
    if (!module.input.empty())
      entry["input"] = module.input;
    if (module.correlation)
      entry["correlation"] = *module.correlation;
    if (module.error)
      entry["error"] = *module.error;
  }
  return {{"quant_method", "qlr"},
          {"version", version},
          {"seed", seed},
          {"rotation", rotation},
          {"feedback", feedback},
          {"configuration_hash", configurationHash},
          {"calibration", {{"hash", calibrationHash}, {"windows", calibrationWindows}, {"length", calibrationLength}}},
          {"modules", list},
          {"tensors", tensors}};
}

const ModuleQuant *QuantConfig::find(const std::string &module) const {
  auto it = modules.find(module);
  return it == modules.end() ? nullptr : &it->second;
}

} // namespace qlr
