//===- PipelineTest.cpp - configurations, interruption and resumption ------===//

#include "compressor/Compress.h"
#include "runtime/format/Checkpoint.h"
#include "runtime/format/Error.h"
#include "runtime/format/QuantConfig.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace qlr;
namespace fs = std::filesystem;

namespace {

const std::string demo = QLR_SOURCE_DIR "/test/models/demo";

std::string contents(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Pipeline : public testing::Test {
protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "qlr-compressor-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir = pattern;
  }
  void TearDown() override { fs::remove_all(dir); }

  CompressOptions options(const std::string &out) const {
    CompressOptions o;
    o.model = demo;
    o.out = dir / out;
    o.flags.codec = "int2";
    o.calibration = {demo + "/calibration.txt"};
    o.windows = 3;
    o.length = 32;
    o.threads = 1;
    return o;
  }

  std::string write(const std::string &name, const std::string &text) const {
    std::ofstream(dir / name) << text;
    return dir / name;
  }

  std::string messageOf(const std::function<void()> &call) const {
    try {
      call();
    } catch (const Error &error) {
      return error.what();
    }
    return "no error";
  }

  fs::path dir;
};

const auto never = [] { return false; };

TEST_F(Pipeline, ResumedRunGivesTheSameBytes) {
  compress(options("whole"), never);
  EXPECT_FALSE(fs::exists(dir / "whole.work"));

  CompressOptions o = options("resumed");
  o.work = dir / "work";
  int calls = 0;
  std::string message = messageOf([&] { compress(o, [&] { return ++calls > 70; }); });
  EXPECT_NE(message.find("--resume"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(o.out));
  ASSERT_TRUE(fs::exists(dir / "work/layer-0.safetensors"));
  ASSERT_FALSE(fs::exists(dir / "work/layer-3.safetensors"));
  EXPECT_NE(messageOf([&] { compress(o, never); }).find("--resume"), std::string::npos);
  o.resume = true;
  CompressOptions other = o;
  other.seed = 2;
  EXPECT_NE(messageOf([&] { compress(other, never); }).find("seed"), std::string::npos);
  compress(o, never);
  for (const char *file : {"model.safetensors", "config.json", "tokenizer.json"})
    EXPECT_TRUE(contents(dir / "whole" / file) == contents(dir / "resumed" / file)) << file;
  EXPECT_NE(messageOf([&] { compress(options("whole"), never); }).find("whole"), std::string::npos);
}

TEST_F(Pipeline, CheckpointIsWhatTheConfigurationSays) {
  CompressOptions o = options("mixed");
  o.windows = 1;
  o.configuration = write("c.json", R"({"pattern_overrides": [{"pattern": "*.v_proj", "codec": "trellis3"},
      {"pattern": "*.0.self_attn.v_proj", "codec": "int4g64"}], "layer_overrides": {"2": {"rank": 8, "factors": "int8"}},
      "model.layers.3.mlp.up_proj": {"codec": "bf16"}})");
  compress(o, never);
  QuantConfig quant = *QuantConfig::load(o.out);
  Checkpoint checkpoint = Checkpoint::open(o.out);
  auto module = [&](const std::string &name) { return quant.modules.at("model.layers." + name); };
  EXPECT_EQ(module("0.self_attn.q_proj").codec, "int2");
  EXPECT_EQ(module("0.self_attn.v_proj").codec, "int4g64");
  EXPECT_EQ(module("1.self_attn.v_proj").codec, "trellis3");
  EXPECT_EQ(module("2.mlp.down_proj").rank, 8u);
  EXPECT_EQ(module("3.mlp.up_proj").codec, "bf16");
  EXPECT_EQ(module("3.mlp.up_proj").rotation, 0u);
  EXPECT_EQ(quant.modules.at("model.embed_tokens").codec, "int8");
  EXPECT_GT(*quant.modules.at("model.embed_tokens").correlation, 0.9999);
  checkpoint.require("model.layers.0.self_attn.v_proj.q.scales", DType::F16, {128, 4});
  checkpoint.require("model.layers.2.mlp.down_proj.l.codes", DType::U8, {16, 2, 64});
  checkpoint.require("model.layers.2.mlp.down_proj.r.scales", DType::F16, {16});
  checkpoint.require("model.layers.3.mlp.up_proj.weight", DType::BF16, {640, 256});
  checkpoint.require("model.layers.1.mlp_out.signs", DType::U8, {80});
  checkpoint.require("levels.trellis3", DType::I8, {128});
  EXPECT_GT(std::stod(*checkpoint.metadata("levels.trellis3.unit")), 0.0);
  for (const auto &[name, hash] : quant.tensors)
    EXPECT_EQ(hash, xxh64Hex(checkpoint.data(name))) << name;
}

TEST_F(Pipeline, DryRunWritesNothing) {
  CompressOptions o = options("dry");
  o.dryRun = true;
  compress(o, never);
  EXPECT_FALSE(fs::exists(o.out));
  EXPECT_FALSE(fs::exists(o.out + ".work"));
}

TEST_F(Pipeline, WrongConfigurationsAreRefusedByName) {
  struct Case {
    const char *text, *name;
  };
  const Case cases[] = {
      {R"({"codec": "int5"})", "int5"},
      {R"({"rotation": 64})", "rotation"},
      {R"({"feedback": "gptq"})", "feedback"},
      {R"({"rank": -1})", "rank"},
      {R"({"rank": 1.5})", "rank"},
      {R"({"rank": 300})", "rank 300"},
      {R"({"rank": 8, "factors": "bf16"})", "factors"},
      {R"({"codecs": "int4"})", "codecs"},
      {R"({"pattern_overrides": {}})", "pattern_overrides"},
      {R"({"pattern_overrides": [{"codec": "int4"}]})", "pattern"},
      {R"({"pattern_overrides": [{"pattern": "*.q_prj", "codec": "int4"}]})", "q_prj"},
      {R"({"pattern_overrides": [{"pattern": "*.q_proj", "bits": 4}]})", "bits"},
      {R"({"layer_overrides": {"4": {"codec": "int4"}}})", "layer_overrides"},
      {R"({"layer_overrides": {"1": {"codec": "int44"}}})", "int44"},
      {R"({"model.layers.9.mlp.up_proj": {"codec": "int4"}})", "model.layers.9"},
      {R"({"model.embed_tokens": {"rank": 4}})", "model.embed_tokens"},
      {R"({"lm_head": {"codec": "int4"}, "model.embed_tokens": {"codec": "bf16"}})", "lm_head"},
      {R"({"codec": "bf16", "rank": 4})", "bf16"},
      {R"([])", "object"},
      {R"({"codec": )", "c.json"},
  };
  for (const Case &c : cases) {
    CompressOptions o = options("refused");
    o.flags.codec.reset();
    o.configuration = write("c.json", c.text);
    std::string message = messageOf([&] { compress(o, never); });
    EXPECT_NE(message.find(c.name), std::string::npos) << c.text << ": " << message;
    EXPECT_FALSE(fs::exists(o.out));
  }
  CompressOptions o = options("refused");
  o.calibration = {};
  EXPECT_NE(messageOf([&] { compress(o, never); }).find("--calib"), std::string::npos);
  o.calibration = {demo + "/none.txt"};
  EXPECT_NE(messageOf([&] { compress(o, never); }).find("none.txt"), std::string::npos);
  o = options("refused");
  o.length = 100000;
  EXPECT_NE(messageOf([&] { compress(o, never); }).find("--calib-length"), std::string::npos);
  o = options("no/folder");
  EXPECT_NE(messageOf([&] { compress(o, never); }).find("folder"), std::string::npos);
}

} // namespace
