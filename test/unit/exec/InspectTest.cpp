// qlr inspect on a compressed checkpoint made by hand; what it stores is computed a second time from the definition.
#include "runtime/exec/Inspect.h"

#include "runtime/format/Half.h"
#include "runtime/format/Hash.h"
#include "test/unit/exec/ToyArtifact.h"

#include <bit>
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

constexpr unsigned rows = 40, columns = 56, rank = 3, block = 8; // tails everywhere; 8 divides 56, 16 does not
const std::string moduleName = "model.layers.0.mlp.gate_proj", inputName = "model.layers.0.mlp_in";

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

/// Random int4 codes and scales of an r x c matrix, and the numbers they stand for.
struct Int4 {
  std::vector<uint8_t> codes;
  std::vector<uint16_t> scales;
  std::vector<double> values;

  Int4(unsigned r, unsigned c, double size, std::mt19937 &random) : values(r * c) {
    unsigned strips = (r + 15) / 16, tiles = (c + 3) / 4;
    codes.resize(strips * tiles * 32);
    for (uint8_t &code : codes)
      code = static_cast<uint8_t>(random());
    for (unsigned row = 0; row < strips * 16; ++row)
      scales.push_back(row < r ? f32ToF16(static_cast<float>(size * (1 + row % 5))) : 0);
    for (unsigned row = 0; row < r; ++row)
      for (unsigned column = 0; column < c; ++column) {
        unsigned tile = row / 16 * tiles + column / 4, i = row % 16 * 4 + column % 4;
        unsigned q = codes[tile * 32 + i / 2] >> (i % 2 * 4) & 15;
        values[row * c + column] = (2.0 * q - 15) / 2 * f16ToF32(scales[row]);
      }
  }
};

class InspectTest : public testing::Test {
protected:
  void SetUp() override {
    compressed = directory.file("compressed");
    reference = directory.file("reference");
    std::filesystem::create_directories(compressed);
    std::filesystem::create_directories(reference);
    std::mt19937 random(1);
    Int4 q(rows, columns, 0.02, random), l(rows, rank, 0.05, random), r(rank, columns, 0.05, random);
    std::vector<uint8_t> signs((columns + 7) / 8);
    for (uint8_t &byte : signs)
      byte = static_cast<uint8_t>(random());

    // W = (Q + L R) H S: the matrix that meets the input before it is signed and rotated.
    std::vector<float> weight(rows * columns);
    for (unsigned row = 0; row < rows; ++row)
      for (unsigned column = 0; column < columns; ++column) {
        double sum = 0;
        for (unsigned k = column / block * block; k < (column / block + 1) * block; ++k) {
          double stored = q.values[row * columns + k];
          for (unsigned i = 0; i < rank; ++i)
            stored += l.values[row * rank + i] * r.values[i * columns + k];
          sum += stored * (std::popcount((k % block) & (column % block)) % 2 ? -1 : 1) / std::sqrt(double(block));
        }
        weight[row * columns + column] = static_cast<float>(signs[column / 8] >> (column % 8) & 1 ? -sum : sum);
      }
    writeCheckpoint(q, l, r, signs);
    writeReference(weight);
  }

  void writeCheckpoint(const Int4 &q, const Int4 &l, const Int4 &r, const std::vector<uint8_t> &signs) {
    SafetensorsWriter writer(compressed + "/model.safetensors");
    struct Part {
      const char *name;
      const Int4 &matrix;
      uint64_t strips, tiles;
    };
    const Part parts[] = {{"q", q, 3, 14}, {"l", l, 3, 1}, {"r", r, 1, 14}};
    for (const Part &part : parts) {
      writer.declare(moduleName + "." + part.name + ".codes", DType::U8, {part.strips, part.tiles, 32});
      writer.declare(moduleName + "." + part.name + ".scales", DType::F16, {part.strips * 16});
      packed += part.matrix.codes.size() + part.matrix.scales.size() * 2;
    }
    writer.declare(inputName + ".signs", DType::U8, {signs.size()});
    writer.declare("model.norm.weight", DType::F32, {columns});
    writer.begin();
    for (const Part &part : parts) {
      writer.write(std::as_bytes(std::span(part.matrix.codes)));
      writer.write(std::as_bytes(std::span(part.matrix.scales)));
    }
    writer.write(std::as_bytes(std::span(signs)));
    const std::vector<float> norm(columns, 1.0f);
    writer.write(std::as_bytes(std::span(norm)));
    writer.finish();
    shared = signs.size();
    std::map<std::string, std::string> hashes = writer.hashes();
    hashes.erase("model.norm.weight");

    json config = {{"architectures", {"Qwen2ForCausalLM"}},
                   {"model_type", "qwen2"},
                   {"hidden_act", "silu"},
                   {"vocab_size", 100},
                   {"hidden_size", columns},
                   {"intermediate_size", rows},
                   {"num_hidden_layers", 1},
                   {"num_attention_heads", 7},
                   {"num_key_value_heads", 7},
                   {"max_position_embeddings", 64},
                   {"rms_norm_eps", 1e-6},
                   {"rope_theta", 10000.0},
                   {"tie_word_embeddings", true}};
    writeFile(reference + "/config.json", config.dump());
    config["quantization_config"] = {{"quant_method", "qlr"},
                                     {"version", 1},
                                     {"seed", 1},
                                     {"rotation", 128},
                                     {"feedback", "ldlq"},
                                     {"configuration_hash", "0123456789abcdef"},
                                     {"calibration", {{"hash", "0123456789abcdef"}, {"windows", 1}, {"length", 2}}},
                                     {"modules",
                                      {{moduleName,
                                        {{"codec", "int4"},
                                         {"shape", {rows, columns}},
                                         {"rank", rank},
                                         {"factors", "int4"},
                                         {"rotation", block},
                                         {"input", inputName},
                                         {"source_hash", "0123456789abcdef"},
                                         {"correlation", 0.97},
                                         {"error", 0.03}}}}},
                                     {"tensors", hashes}};
    writeFile(compressed + "/config.json", config.dump());
  }

  void writeReference(const std::vector<float> &weight) {
    SafetensorsWriter writer(reference + "/model.safetensors");
    writer.declare(moduleName + ".weight", DType::F32, {rows, columns});
    writer.begin();
    writer.write(std::as_bytes(std::span(weight)));
    writer.finish();
  }

  TemporaryDirectory directory;
  std::string compressed, reference;
  uint64_t packed = 0, shared = 0;
};

TEST_F(InspectTest, bitsCountAllMetadata) {
  Report report = inspectDirectory(compressed);
  ASSERT_EQ(report.modules.size(), 1u);
  const ModuleReport &module = report.modules[0];
  EXPECT_EQ(module.bytes, packed);
  EXPECT_EQ(module.codec, "int4");
  EXPECT_EQ(module.rank, rank);
  EXPECT_EQ(module.recorded, 0.97);
  EXPECT_DOUBLE_EQ(*report.bitsPerWeight, 8.0 * (packed + shared) / (rows * columns));
  EXPECT_EQ(report.bytes, std::filesystem::file_size(compressed + "/model.safetensors"));
  EXPECT_EQ(report.tensors.size(), 8u);
}

TEST_F(InspectTest, correlationIsThatOfTheUnrotatedSum) {
  Report report = inspectDirectory(compressed);
  addCorrelations(report, reference);
  EXPECT_NEAR(*report.modules[0].correlation, 1, 1e-6);
}

TEST_F(InspectTest, anotherReferenceIsAnErrorExit) {
  std::vector<float> noise(rows * columns);
  std::mt19937 random(2);
  for (float &value : noise)
    value = std::normal_distribution<float>()(random);
  writeReference(noise);
  Outcome outcome = runCommand(QLR_PROGRAMS "/qlr-inspect " + compressed + " --reference " + reference);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(contains(outcome.err, moduleName + ": found a correlation of")) << outcome.err;
}

TEST_F(InspectTest, damagedTensorsAreNamed) {
  std::string path = compressed + "/model.safetensors", content = readFile(path);
  content[content.size() - columns * 4 - 3] ^= 4; // in the signs, before the norm
  writeFile(path, content);
  std::string message = messageOf([&] { inspectDirectory(compressed); });
  EXPECT_TRUE(contains(message, "model.safetensors: " + inputName + ".signs: found hash")) << message;
}

TEST_F(InspectTest, jsonAndTextHaveTheNumbers) {
  Outcome outcome = runCommand(QLR_PROGRAMS "/qlr-inspect --json " + compressed + " --reference " + reference);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  json result = json::parse(outcome.out);
  EXPECT_EQ(result["kind"], "compressed checkpoint");
  EXPECT_NEAR(result["modules"][0]["correlation"], 1, 1e-6);
  EXPECT_GT(result["bits_per_weight"], 4.0);
  outcome = runCommand(QLR_PROGRAMS "/qlr-inspect " + compressed);
  EXPECT_TRUE(contains(outcome.out, moduleName));
  EXPECT_TRUE(contains(outcome.out, "3 int4"));
  outcome = runCommand(QLR_PROGRAMS "/qlr-inspect " + compressed + "/model.safetensors --json");
  EXPECT_EQ(json::parse(outcome.out)["tensors"].size(), 8u);
}

TEST_F(InspectTest, anArtifactTellsTheMemoryItNeeds) {
  std::string path = directory.file("toy.qlr");
  writeToyArtifact(path);
  Outcome outcome = runCommand(QLR_PROGRAMS "/qlr-inspect --json --ctx-size 640 " + path);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  json memory = json::parse(outcome.out)["memory"];
  EXPECT_EQ(memory["cache"], 640 * 128);
  EXPECT_EQ(memory["weights"], (97 * 4 + 63) / 64 * 64 + 64);
  EXPECT_EQ(memory["total"],
            memory["weights"].get<int>() + memory["cache"].get<int>() + memory["workspace"].get<int>());
  EXPECT_EQ(memory.size(), 4u);
}

TEST_F(InspectTest, aDirectorysMemoryNeedsTheCompiler) {
  runCommand("mkdir " + directory.file("bin") + " && cp " QLR_PROGRAMS "/qlr-inspect " + directory.file("bin"));
  Outcome outcome = runCommand(directory.file("bin") + "/qlr-inspect --ctx-size 64 " + compressed);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(contains(outcome.err, "no qlr-compile beside this program")) << outcome.err;
}

} // namespace
