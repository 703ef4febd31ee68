#include "runtime/format/ModelConfig.h"
#include "runtime/format/Error.h"
#include "runtime/format/Json.h"
#include "runtime/format/MappedFile.h"

namespace qlr {

using nlohmann::json;

namespace {

constexpr uint64_t maxWidth = 1u << 20;
constexpr const char *unsupported = "only plain Qwen2 models are supported";

void checkArchitecture(const JsonObject &config) {
  std::string type = config.string("model_type", "qwen2");
  if (const json *list = config.find("architectures")) {
    if (!list->is_array() || list->size() != 1 || list->front() != "Qwen2ForCausalLM")
      config.refuse("architectures", list->is_array() && list->size() == 1 ? &list->front() : list, "Qwen2ForCausalLM",
                    unsupported);
  } else if (!config.find("model_type")) {
    config.refuse("architectures", nullptr, "Qwen2ForCausalLM", unsupported);
  }
  if (type != "qwen2")
    config.refuse("model_type", config.find("model_type"), "qwen2", unsupported);
  if (config.string("hidden_act", "silu") != "silu")
    config.refuse("hidden_act", config.find("hidden_act"), "silu", unsupported);
}

void checkAttention(const JsonObject &config, uint32_t layers) {
  if (config.boolean("use_sliding_window", false))
    config.refuse("use_sliding_window", config.find("use_sliding_window"), "false",
                  "sliding-window attention is not supported");
  if (const json *types = config.find("layer_types")) {
    if (!types->is_array() || types->size() != layers)
      config.refuse("layer_types", types, "one entry for each of the " + std::to_string(layers) + " layers");
    for (const json &type : *types)
      if (type != "full_attention")
        config.refuse("layer_types", &type, "full_attention", "other kinds of attention are not supported");
  }
}

/// transformers 4: `rope_theta` and `rope_scaling`; transformers 5: `rope_parameters`. No default: a wrong base gives a
/// model that computes nonsense without any error.
double readRopeTheta(const JsonObject &config) {
  constexpr double low = 1, high = 1e12;
  if (config.find("rope_scaling"))
    config.refuse(
        "rope_scaling", config.find("rope_scaling"), "none",
        "scaled rotary embeddings (YaRN and others) are not supported; remove the key to use the model within "
        "its own context");
  std::optional<double> theta = config.optionalNumber("rope_theta", low, high);
  if (config.find("rope_parameters")) {
    JsonObject rope = config.object("rope_parameters");
    std::string type = rope.string("rope_type", rope.string("type", "default"));
    if (type != "default")
      rope.refuse("rope_type", rope.find("rope_type"), "default", "scaled rotary embeddings are not supported");
    double other = rope.number("rope_theta", low, high);
    if (theta && *theta != other)
      rope.refuse("rope_theta", rope.find("rope_theta"), shown(*theta) + " as in rope_theta");
    theta = other;
  }
  if (!theta)
    config.refuse("rope_theta", nullptr, "rope_theta or rope_parameters.rope_theta",
                  "get config.json again; there is no safe default");
  return *theta;
}

} // namespace

ModelConfig ModelConfig::load(const std::string &dir) {
  std::string path = joinPath(dir, "config.json");
  MappedFile file = MappedFile::open(path);
  return parse(file.text(), path);
}

ModelConfig ModelConfig::parse(std::string_view text, const std::string &path) {
  refuseImpostor(text, path);
  ModelConfig result;
  result.path = path;
  result.raw = parseJson(text, path);
  JsonObject config(result.raw, path);
  checkArchitecture(config);

  auto count = [&](const char *key, uint64_t high) { return static_cast<uint32_t>(config.integer(key, 1, high)); };
  result.vocabSize = count("vocab_size", 1u << 24);
  result.hiddenSize = count("hidden_size", maxWidth);
  result.intermediateSize = count("intermediate_size", maxWidth);
  result.layers = count("num_hidden_layers", 4096);
  result.heads = count("num_attention_heads", 4096);
  result.kvHeads = static_cast<uint32_t>(config.optionalInteger("num_key_value_heads", 1, 4096).value_or(result.heads));
  result.maxPositions = count("max_position_embeddings", 1u << 26);
  result.rmsEps = config.number("rms_norm_eps", 1e-12, 1.0);
  result.tiedHead = config.boolean("tie_word_embeddings", false);
  result.ropeTheta = readRopeTheta(config);
  result.dtype = config.string("dtype", config.string("torch_dtype", ""));
  checkAttention(config, result.layers);

  if (auto headDim = config.optionalInteger("head_dim", 1, 4096)) {
    result.headDim = static_cast<uint32_t>(*headDim);
  } else {
    if (result.hiddenSize % result.heads != 0)
      config.refuse("num_attention_heads", config.find("num_attention_heads"),
                    "a divisor of hidden_size " + std::to_string(result.hiddenSize));
    result.headDim = result.hiddenSize / result.heads;
  }
  if (result.headDim % 2 != 0)
    config.refuse("head_dim", config.find("head_dim"),
                  "an even number (it is " + std::to_string(result.headDim) + "): rotary embeddings turn pairs");
  if (result.heads % result.kvHeads != 0)
    config.refuse("num_key_value_heads", config.find("num_key_value_heads"),
                  "a divisor of num_attention_heads " + std::to_string(result.heads));

  if (config.find("bos_token_id"))
    result.bosId = static_cast<uint32_t>(config.integer("bos_token_id", 0, result.vocabSize - 1));
  if (const json *eos = config.find("eos_token_id")) {
    if (eos->is_array()) {
      for (const json &id : config.array("eos_token_id", 1024)) {
        if (!id.is_number_unsigned() || id.get<uint64_t>() >= result.vocabSize)
          config.refuse("eos_token_id", &id, "an id below vocab_size");
        result.eosIds.push_back(id.get<uint32_t>());
      }
    } else {
      result.eosIds.push_back(static_cast<uint32_t>(config.integer("eos_token_id", 0, result.vocabSize - 1)));
    }
  }
  return result;
}

std::vector<LinearModule> layerModules(const ModelConfig &config, uint32_t layer) {
  std::string prefix = "model.layers." + std::to_string(layer) + ".";
  uint64_t hidden = config.hiddenSize, ffn = config.intermediateSize, q = config.qRows(), kv = config.kvRows();
  return {
      {prefix + "self_attn.q_proj", q, hidden, true, prefix + "attn_in"},
      {prefix + "self_attn.k_proj", kv, hidden, true, prefix + "attn_in"},
      {prefix + "self_attn.v_proj", kv, hidden, true, prefix + "attn_in"},
      {prefix + "self_attn.o_proj", hidden, q, false, prefix + "attn_out"},
      {prefix + "mlp.gate_proj", ffn, hidden, false, prefix + "mlp_in"},
      {prefix + "mlp.up_proj", ffn, hidden, false, prefix + "mlp_in"},
      {prefix + "mlp.down_proj", hidden, ffn, false, prefix + "mlp_out"},
  };
}

} // namespace qlr
