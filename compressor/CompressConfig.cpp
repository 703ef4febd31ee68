#include "compressor/CompressConfig.h"

#include "runtime/format/Error.h"
#include "runtime/format/Json.h"

#include <charconv>
#include <fnmatch.h>
#include <set>

using namespace qlr;
using nlohmann::json;

namespace {

const char *const tableName = "model.embed_tokens", *const headName = "lm_head";

bool isTable(const std::string &module) { return module == tableName || module == headName; }

/// The settings one entry gives; what it leaves out stays as it was.
struct Override {
  std::optional<std::string> codec, factors;
  std::optional<uint32_t> rank;
  std::string where; // for messages
};

class Loader {
public:
  Loader(const std::string &path, const CompressConfig::Flags &flags, const ModelConfig &model)
      : path(path), flags(flags), model(model) {}

  CompressConfig load() {
    json document = path.empty() ? json::object() : parseJsonFile(path);
    JsonObject root(document, path.empty() ? "command line" : path);
    Override defaults = parse(root, "");
    if (flags.codec)
      defaults.codec = flags.codec;
    if (flags.rank)
      defaults.rank = flags.rank;
    if (flags.factors)
      defaults.factors = flags.factors;
    config.rotation = static_cast<uint32_t>(root.optionalInteger("rotation", 0, 128).value_or(128));
    if (config.rotation != 0 && config.rotation != 128)
      root.refuse("rotation", root.find("rotation"), "128 or 0");
    std::string feedback = root.string("feedback", "ldlq");
    if (feedback != "ldlq" && feedback != "none")
      root.refuse("feedback", root.find("feedback"), "\"ldlq\" or \"none\"");
    config.feedback = feedback == "ldlq";

    for (uint32_t layer = 0; layer < model.layers; ++layer)
      for (const LinearModule &module : layerModules(model, layer)) {
        linears[module.name] = {module, layer};
        set(module.name, {"trellis2", "int4", 0u, "the defaults"});
        set(module.name, defaults);
      }
    set(tableName, {"int8", "int4", 0u, "the defaults"});
    if (!model.tiedHead)
      set(headName, {"int8", "int4", 0u, "the defaults"});
    patterns(root);
    layers(root);
    names(root, document);
    check();
    return std::move(config);
  }

private:
  Override parse(const JsonObject &object, const std::string &where) const {
    Override result;
    result.where = where.empty() ? "the defaults" : where;
    if (object.find("codec"))
      result.codec = object.string("codec");
    if (object.find("factors"))
      result.factors = object.string("factors");
    if (auto rank = object.optionalInteger("rank", 0, 1u << 20))
      result.rank = static_cast<uint32_t>(*rank);
    return result;
  }

  Override parseEntry(const JsonObject &object, const json &value, const std::string &where,
                      const std::set<std::string> &keys) const {
    for (const auto &[key, unused] : value.items())
      if (!keys.count(key))
        object.refuse(key.c_str(), &unused, "only the keys codec, rank and factors");
    return parse(object, where);
  }

  const Codec *codec(const std::string &name, const std::string &where) const {
    try {
      return &Codec::get(name);
    } catch (const Error &error) {
      fail({.file = path, .tensor = where, .found = "codec \"" + name.substr(0, 64) + "\"", .expected = known()});
    }
  }

  static std::string known() {
    std::string list;
    for (const Codec *codec : Codec::all())
      list += (list.empty() ? "one of " : ", ") + codec->name();
    return list;
  }

  void set(const std::string &module, const Override &with) {
    ModuleConfig &target = config.modules[module];
    if (with.codec)
      target.codec = codec(*with.codec, with.where);
    if (with.factors)
      target.factors = codec(*with.factors, with.where);
    if (with.rank)
      target.rank = *with.rank;
  }

  void patterns(const JsonObject &root) {
    if (!root.find("pattern_overrides"))
      return;
    const json &list = root.array("pattern_overrides", 100000);
    for (size_t i = 0; i < list.size(); ++i) {
      std::string where = "pattern_overrides[" + std::to_string(i) + "]";
      JsonObject object(list[i], root.file(), where);
      Override with = parseEntry(object, list[i], where, {"pattern", "codec", "rank", "factors"});
      std::string pattern = object.string("pattern");
      bool matched = false;
      for (auto &[name, unused] : config.modules)
        if (fnmatch(pattern.c_str(), name.c_str(), 0) == 0) {
          set(name, with);
          matched = true;
        }
      if (!matched)
        object.refuse("pattern", object.find("pattern"), "a pattern that some module's name matches",
                      "names look like model.layers.0.self_attn.q_proj");
    }
  }

  void layers(const JsonObject &root) {
    if (!root.find("layer_overrides"))
      return;
    JsonObject object = root.object("layer_overrides");
    for (const auto &[key, value] : root.at("layer_overrides").items()) {
      uint32_t layer = 0;
      auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), layer);
      if (error != std::errc() || end != key.data() + key.size() || layer >= model.layers)
        object.refuse(key.c_str(), nullptr, "layer numbers from 0 to " + std::to_string(model.layers - 1));
      JsonObject entry(value, root.file(), object.path(key.c_str()));
      Override with = parseEntry(entry, value, object.path(key.c_str()), {"codec", "rank", "factors"});
      for (const auto &[name, linear] : linears)
        if (linear.second == layer)
          set(name, with);
    }
  }

  void names(const JsonObject &root, const json &document) {
    static const std::set<std::string> settings = {
        "codec", "rank", "factors", "rotation", "feedback", "pattern_overrides", "layer_overrides"};
    for (const auto &[key, value] : document.items()) {
      if (settings.count(key))
        continue;
      // A tied head is the embedding: its name stands for the one tensor there is.
      std::string module = key == headName && model.tiedHead ? tableName : key;
      if (!config.modules.count(module))
        root.refuse(key.c_str(), &value,
                    "a setting (codec, rank, factors, rotation, feedback, pattern_overrides, "
                    "layer_overrides) or the name of a module of this model");
      JsonObject entry(value, root.file(), key);
      Override with = parseEntry(entry, value, key, {"codec", "rank", "factors"});
      if (module != key && document.contains(tableName) && document[tableName] != value)
        root.refuse(key.c_str(), &value, "the same as for " + std::string(tableName),
                    "the model's head is tied to its embedding");
      set(module, with);
    }
  }

  void check() const {
    for (const auto &[name, module] : config.modules) {
      if (module.rank == 0)
        continue;
      auto refuse = [&](const std::string &expected) {
        fail({.file = path.empty() ? "command line" : path,
              .tensor = name,
              .found = "rank " + std::to_string(module.rank),
              .expected = expected});
      };
      if (isTable(name))
        refuse("rank 0: embedding and head have no low-rank branch");
      if (module.codec->isFloat())
        refuse("rank 0 for codec " + module.codec->name());
      if (module.factors->isFloat() || module.factors->group())
        fail({.file = path.empty() ? "command line" : path,
              .tensor = name,
              .found = "factors \"" + module.factors->name() + "\"",
              .expected = "a tiled codec with one scale a row"});
      const LinearModule &linear = linears.at(name).first;
      if (module.rank > std::min(linear.rows, linear.columns))
        refuse("at most " + std::to_string(std::min(linear.rows, linear.columns)) + " for " +
               shapeText({linear.rows, linear.columns}));
    }
  }

  static std::string shapeText(const std::vector<uint64_t> &shape) {
    return "[" + std::to_string(shape[0]) + ", " + std::to_string(shape[1]) + "]";
  }

  const std::string &path;
  const CompressConfig::Flags &flags;
  const ModelConfig &model;
  std::map<std::string, std::pair<LinearModule, uint32_t>> linears;
  CompressConfig config;
};

} // namespace

CompressConfig CompressConfig::load(const std::string &path, const Flags &flags, const ModelConfig &model) {
  return Loader(path, flags, model).load();
}

json CompressConfig::toJson() const {
  json list = json::object();
  for (const auto &[name, module] : modules)
    list[name] = {module.codec->name(), module.rank, module.rank ? module.factors->name() : ""};
  return {{"rotation", rotation}, {"feedback", feedback ? "ldlq" : "none"}, {"modules", list}};
}
