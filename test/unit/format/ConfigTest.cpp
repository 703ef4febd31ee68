// config.json in both generations, and its quantization_config.
#include "runtime/format/ModelConfig.h"
#include "runtime/format/QuantConfig.h"
#include "test/unit/format/TestSupport.h"

#include <functional>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

json plain() {
  return {{"architectures", {"Qwen2ForCausalLM"}},
          {"model_type", "qwen2"},
          {"hidden_act", "silu"},
          {"bos_token_id", 1},
          {"eos_token_id", {2, 3}},
          {"hidden_size", 64},
          {"intermediate_size", 172},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 8},
          {"num_key_value_heads", 4},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"sliding_window", 512},
          {"use_sliding_window", false},
          {"tie_word_embeddings", true},
          {"torch_dtype", "float32"},
          {"vocab_size", 512}};
}

ModelConfig parse(const json &value) { return ModelConfig::parse(value.dump(), "dir/config.json"); }

std::string refusal(const char *key, json value) {
  json config = plain();
  config[key] = std::move(value);
  return errorOf([&] { parse(config); });
}

TEST(ModelConfig, OldGeneration) {
  ModelConfig config = parse(plain());
  EXPECT_EQ(config.vocabSize, 512u);
  EXPECT_EQ(config.hiddenSize, 64u);
  EXPECT_EQ(config.intermediateSize, 172u);
  EXPECT_EQ(config.layers, 2u);
  EXPECT_EQ(config.heads, 8u);
  EXPECT_EQ(config.kvHeads, 4u);
  EXPECT_EQ(config.headDim, 8u);
  EXPECT_EQ(config.maxPositions, 512u);
  EXPECT_EQ(config.ropeTheta, 10000);
  EXPECT_EQ(config.rmsEps, 1e-5);
  EXPECT_TRUE(config.tiedHead);
  EXPECT_EQ(config.eosIds, (std::vector<uint32_t>{2, 3}));
  EXPECT_EQ(config.bosId, 1u);
  EXPECT_EQ(config.dtype, "float32");
}

TEST(ModelConfig, NewGeneration) {
  json config = plain();
  config.erase("rope_theta");
  config.erase("torch_dtype");
  config["dtype"] = "bfloat16";
  config["rope_parameters"] = {{"rope_theta", 1e6}, {"rope_type", "default"}};
  config["layer_types"] = {"full_attention", "full_attention"};
  config["sliding_window"] = nullptr;
  config["pad_token_id"] = nullptr;
  config["rope_scaling"] = nullptr;
  config["eos_token_id"] = 7;
  ModelConfig result = parse(config);
  EXPECT_EQ(result.ropeTheta, 1e6);
  EXPECT_EQ(result.dtype, "bfloat16");
  EXPECT_EQ(result.eosIds, (std::vector<uint32_t>{7}));
}

TEST(ModelConfig, HeadDimMayBeGiven) {
  json config = plain();
  config["head_dim"] = 16;
  EXPECT_EQ(parse(config).qRows(), 128u);
  EXPECT_EQ(parse(config).kvRows(), 64u);
}

TEST(ModelConfig, Refusals) {
  expectContains(refusal("architectures", {"LlamaForCausalLM"}), "architectures: found \"LlamaForCausalLM\"");
  expectContains(refusal("model_type", "qwen3"), "model_type: found \"qwen3\", expected qwen2");
  expectContains(refusal("hidden_act", "gelu"), "hidden_act");
  expectContains(refusal("use_sliding_window", true), "use_sliding_window: found true");
  expectContains(refusal("rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}), "rope_scaling");
  expectContains(refusal("rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e6}}), "rope_type");
  expectContains(refusal("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1e6}}), "rope_theta");
  expectContains(refusal("rope_theta", nullptr), "rope_theta: found nothing");
  expectContains(refusal("rope_theta", 0), "rope_theta");
  expectContains(refusal("layer_types", {"full_attention", "sliding_attention"}), "layer_types");
  expectContains(refusal("layer_types", {"full_attention"}), "layer_types");
  expectContains(refusal("num_hidden_layers", 0), "num_hidden_layers");
  expectContains(refusal("num_hidden_layers", 5000), "num_hidden_layers");
  expectContains(refusal("num_hidden_layers", -1), "num_hidden_layers: found -1");
  expectContains(refusal("num_hidden_layers", 2.5), "num_hidden_layers: found 2.5");
  expectContains(refusal("hidden_size", "64"), "hidden_size");
  expectContains(refusal("hidden_size", 1e9), "hidden_size");
  expectContains(refusal("num_attention_heads", 7), "divisor of hidden_size");
  expectContains(refusal("num_key_value_heads", 3), "divisor of num_attention_heads 8");
  expectContains(refusal("num_key_value_heads", 16), "divisor of num_attention_heads 8");
  expectContains(refusal("head_dim", 7), "even");
  expectContains(refusal("rms_norm_eps", 0), "rms_norm_eps");
  expectContains(refusal("vocab_size", 1ull << 40), "vocab_size");
  expectContains(refusal("eos_token_id", 512), "eos_token_id");
  expectContains(refusal("eos_token_id", {1, 512}), "eos_token_id");
  expectContains(refusal("eos_token_id", {-1}), "eos_token_id");
  expectContains(refusal("bos_token_id", 600), "bos_token_id");
  expectContains(refusal("tie_word_embeddings", 1), "tie_word_embeddings: found 1, expected true or false");
  const json whole = plain();
  for (auto &[key, value] : whole.items()) {
    if (key == "eos_token_id" || key == "bos_token_id" || key == "sliding_window" || key == "use_sliding_window" ||
        key == "tie_word_embeddings" || key == "torch_dtype" || key == "hidden_act" || key == "model_type" ||
        key == "architectures" || key == "num_key_value_heads")
      continue;
    json config = plain();
    config.erase(key);
    expectContains(errorOf([&] { parse(config); }), "dir/config.json: " + key);
  }
  EXPECT_THROW(ModelConfig::parse("[]", "f"), Error);
  EXPECT_THROW(ModelConfig::parse("", "f"), Error);
  expectContains(errorOf([] { ModelConfig::parse(R"({"vocab_size":1,"vocab_size":2})", "f"); }), "twice");
  expectContains(errorOf([] { ModelConfig::parse(std::string(100000, '['), "f"); }), "nested deeper");
  expectContains(errorOf([] { ModelConfig::parse("version https://git-lfs", "f"); }), "git lfs");
}

TEST(ModelConfig, SharedConfigs) {
  QLR_NEED_SHARED(folder, "data/qwen2_configs");
  auto load = [&](const std::string &name) {
    std::string path = joinPath(folder, name);
    return ModelConfig::parse(readFile(path), path);
  };
  ModelConfig big = load("Qwen2.5-72B-Instruct.config.json");
  EXPECT_EQ(big.layers, 80u);
  EXPECT_EQ(big.intermediateSize, 29568u);
  EXPECT_EQ(big.headDim, 128u);
  EXPECT_FALSE(big.tiedHead);
  ModelConfig newer = load("Qwen2.5-1.5B-Instruct.transformers5.config.json");
  EXPECT_EQ(newer.ropeTheta, 1e6);
  EXPECT_EQ(newer.dtype, "float16");
  EXPECT_EQ(newer.heads / newer.kvHeads, 6u);
  int count = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    ++count;
    EXPECT_NO_THROW(load(entry.path().filename().string())) << entry.path();
  }
  EXPECT_GE(count, 6);
}

TEST(LayerModules, NamesAndShapes) {
  auto modules = layerModules(parse(plain()), 1);
  ASSERT_EQ(modules.size(), 7u);
  EXPECT_EQ(modules[1].name, "model.layers.1.self_attn.k_proj");
  EXPECT_EQ(modules[1].rows, 32u);
  EXPECT_EQ(modules[1].columns, 64u);
  EXPECT_TRUE(modules[1].bias);
  EXPECT_EQ(modules[1].input, "model.layers.1.attn_in");
  EXPECT_EQ(modules[6].name, "model.layers.1.mlp.down_proj");
  EXPECT_EQ(modules[6].columns, 172u);
  EXPECT_EQ(modules[6].input, "model.layers.1.mlp_out");
}

QuantConfig sample() {
  QuantConfig quant;
  quant.seed = UINT64_MAX;
  quant.rotation = 128;
  quant.feedback = "ldlq";
  quant.configurationHash = "0123456789abcdef";
  quant.calibrationHash = "fedcba9876543210";
  quant.calibrationWindows = 192;
  quant.calibrationLength = 256;
  ModuleQuant q;
  q.codec = "trellis2";
  q.shape = {64, 64};
  q.rank = 8;
  q.factors = "int4";
  q.rotation = 64;
  q.input = "model.layers.0.attn_in";
  q.sourceHash = "00000000000000ff";
  q.correlation = 0.1 + 0.2;
  quant.modules["model.layers.0.self_attn.q_proj"] = q;
  ModuleQuant table;
  table.codec = "int8";
  table.shape = {512, 64};
  quant.modules["model.embed_tokens"] = table;
  quant.tensors["model.embed_tokens.q.codes"] = "00000000000000aa";
  return quant;
}

TEST(QuantConfig, RoundTrip) {
  json config = plain();
  EXPECT_FALSE(QuantConfig::fromConfig(parse(config)));
  QuantConfig quant = sample();
  config["quantization_config"] = quant.toJson();
  auto read = QuantConfig::fromConfig(parse(config));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->modules, quant.modules);
  EXPECT_EQ(read->tensors, quant.tensors);
  EXPECT_EQ(read->toJson(), quant.toJson());
  EXPECT_EQ(read->find("model.embed_tokens")->codec, "int8");
  EXPECT_EQ(read->find("lm_head"), nullptr);
}

TEST(QuantConfig, RotationBlocks) {
  EXPECT_EQ(rotationBlock(896), 128u);
  EXPECT_EQ(rotationBlock(29568), 128u);
  EXPECT_EQ(rotationBlock(64), 64u);
  EXPECT_EQ(rotationBlock(172), 4u);
  EXPECT_EQ(rotationBlock(7), 1u);
}

TEST(QuantConfig, Refusals) {
  auto refusalOf = [](const std::function<void(json &)> &change) {
    json config = plain();
    config["quantization_config"] = sample().toJson();
    change(config["quantization_config"]);
    return errorOf([&] { QuantConfig::fromConfig(parse(config)); });
  };
  const char *q = "model.layers.0.self_attn.q_proj";
  expectContains(refusalOf([](json &j) { j["quant_method"] = "gptq"; }), "quant_method: found \"gptq\", expected qlr");
  expectContains(refusalOf([](json &j) { j["version"] = 2; }), "version: found 2");
  expectContains(refusalOf([](json &j) { j.erase("modules"); }), "modules");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["codec"] = "int5"; }), "expected one of");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["shape"] = {64, 63}; }), "expected [64, 64]");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["shape"] = {64}; }), "shape");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["rank"] = 65; }), "rank: found 65");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["factors"] = "bf16"; }), "tiled codec");
  expectContains(refusalOf([&](json &j) { j["modules"][q].erase("factors"); }), "factors");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["rotation"] = 32; }), "rotation: found 32");
  auto plainRows = [&](json &j) { j["modules"][q].update({{"codec", "bf16"}, {"rank", 0}, {"rotation", 64}}); };
  expectContains(refusalOf(plainRows), "plain rows are never rotated");
  expectContains(refusalOf([&](json &j) { j["modules"][q]["input"] = "model.layers.0.mlp_in"; }), "attn_in");
  expectContains(refusalOf([](json &j) { j["modules"]["model.embed_tokens"]["rotation"] = 64; }), "never rotated");
  expectContains(refusalOf([&](json &j) { j["modules"]["model.layers.2.mlp.up_proj"] = j["modules"][q]; }),
                 "modules of this model only");
  expectContains(refusalOf([&](json &j) { j["modules"]["lm_head"] = j["modules"]["model.embed_tokens"]; }),
                 "modules of this model only"); // tied
  expectContains(refusalOf([](json &j) { j["tensors"]["a"] = "xyz"; }), "16 hexadecimal digits");
}

} // namespace
