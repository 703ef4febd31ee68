// Plans and the .qlr files that hold them.
#include "runtime/format/Artifact.h"
#include "test/unit/format/TestSupport.h"

#include <functional>
#include <nlohmann/json.hpp>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

Plan samplePlan() {
  Plan plan;
  plan.model = {.vocab = 10,
                .hidden = 8,
                .layers = 1,
                .heads = 2,
                .kvHeads = 1,
                .headDim = 4,
                .maxPositions = 32,
                .cache = "bf16",
                .tokenizerVocab = 9};
  plan.levels = {"avx2", "avx512"};
  plan.activations = "int8";
  plan.weightsBytes = 256;
  plan.regions = {{PlanRegion::Kind::Embedding, 0, 64}, {PlanRegion::Kind::Head, 128, 256}};
  plan.cacheBytesPerPosition = 2 * 1 * 1 * 4 * 2;
  plan.kernels = {{"k0", {{"k0_s0", 3}, {"k0_s1", 1}}}};
  PlanStep step{0,
                {{PlanArg::Kind::Weights, 0},
                 {PlanArg::Kind::Workspace, 64},
                 {PlanArg::Kind::State, 64},
                 {PlanArg::Kind::Cache, 8}},
                96,
                "model.layers.0"};
  plan.plans = {{1, false, 192, 128, {step}}, {8, true, 1024, 0, {step, step}}};
  return plan;
}

TEST(Plan, RoundTrip) {
  Plan plan = samplePlan();
  EXPECT_EQ(Plan::fromJson(plan.toJson(), "f"), plan);
  EXPECT_EQ(plan.find(1, true), &plan.plans[0]) << "one token's last logits are all its logits";
  EXPECT_EQ(plan.find(8, true), &plan.plans[1]);
  EXPECT_EQ(plan.find(8, false), nullptr);
}

TEST(Plan, Refusals) {
  auto refusalOf = [](const std::function<void(json &)> &change) {
    json value = json::parse(samplePlan().toJson());
    change(value);
    return errorOf([&] { Plan::fromJson(value.dump(), "f"); });
  };
  expectContains(refusalOf([](json &j) { j["version"] = 2; }), "plan.version: found 2");
  expectContains(refusalOf([](json &j) { j.erase("kernels"); }), "plan.kernels");
  expectContains(refusalOf([](json &j) { j["model"]["cache"] = "f8"; }), "plan.model.cache");
  expectContains(refusalOf([](json &j) { j["model"]["kv_heads"] = 3; }), "plan.model.kv_heads");
  expectContains(refusalOf([](json &j) { j["model"]["layers"] = 0; }), "plan.model.layers");
  expectContains(refusalOf([](json &j) { j["model"]["tokenizer_vocab"] = 11; }), "tokenizer_vocab");
  expectContains(refusalOf([](json &j) { j["cache_bytes_per_position"] = 32; }), "cache_bytes_per_position");
  expectContains(refusalOf([](json &j) { j["state"]["ids"] = 4000; }), "plan.state.ids");
  expectContains(refusalOf([](json &j) { j["state"]["position"] = 4094; }), "plan.state.position");
  expectContains(refusalOf([](json &j) { j["kernels"][0]["stages"][1]["items"] = 0; }), "stages[1].items");
  expectContains(refusalOf([](json &j) { j["plans"][0]["tokens"] = 129; }), "plans[0].tokens");
  expectContains(refusalOf([](json &j) { j["plans"][0]["logits"] = "none"; }), "plans[0].logits");
  expectContains(refusalOf([](json &j) { j["plans"][0]["logits_offset"] = 156; }), "plans[0].logits_offset");
  expectContains(refusalOf([](json &j) { j["plans"][0]["workspace_bytes"] = 1ull << 60; }), "workspace_bytes");
  expectContains(refusalOf([](json &j) { j["plans"][1]["steps"][1]["kernel"] = 1; }), "plans[1].steps[1].kernel");
  for (auto [i, value] : {std::pair(0, 256), {1, 192}, {2, 4096}, {3, 17}})
    expectContains(refusalOf([&, i = i, value = value](json &j) { j["plans"][0]["steps"][0]["args"][i][1] = value; }),
                   "plans[0].steps[0].args: found offset " + std::to_string(value));
  for (json bad : {json{"tail", 0, 64}, json{"head", 0}, json{"head", -64, 64}, json(4)})
    expectContains(refusalOf([&](json &j) { j["regions"][0] = bad; }), "plan.regions");
  for (auto [begin, end] : {std::pair(0, 192), {64, 64}, {1, 64}, {0, 63}})
    expectContains(refusalOf([&, b = begin, e = end](json &j) { j["regions"][0] = {"embedding", b, e}; }),
                   "plan.regions: found ");
  expectContains(refusalOf([](json &j) { j["regions"][1][2] = 320; }), "in an arena of 256");
  expectContains(refusalOf([](json &j) { j["plans"][0]["steps"][0]["args"][0][0] = "x"; }), "args");
  expectContains(refusalOf([](json &j) { j["plans"][0]["steps"][0]["args"][0] = 4; }), "args");
  expectContains(refusalOf([](json &j) { j["plans"][0]["steps"][0]["args"][0][1] = -4; }), "args");
}

void writeArtifact(const std::string &path, bool weights = true) {
  ArtifactWriter writer(path);
  Plan plan = samplePlan();
  plan.weightsPresent = weights;
  if (weights) {
    EXPECT_EQ(writer.declareWeight("a", 60), 0u);
    EXPECT_EQ(writer.declareWeight("b", 64), 128u);
  }
  writer.declareKernels("host", 5);
  writer.declareTokenizerFile("config.json", 2);
  writer.declareTokenizerFile("tokenizer.json", 0);
  writer.setPlan(plan);
  writer.setProvenance({{"tool", "test"}});
  writer.begin();
  if (weights) {
    writer.write(asBytes(std::string(30, 'a')));
    writer.write(asBytes(std::string(30, 'a') + std::string(64, 'b')));
  }
  writer.write(asBytes("12345{}"));
  writer.finish();
}

TEST(Artifact, RoundTrip) {
  TempDir dir;
  std::string path = dir / "m.qlr";
  writeArtifact(path);
  Artifact artifact = Artifact::open(path);
  EXPECT_EQ(artifact.plan(), samplePlan());
  EXPECT_EQ(artifact.provenance()["tool"], "test");
  auto weights = artifact.weights();
  ASSERT_EQ(weights.size(), 256u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data()) % 64, 0u);
  EXPECT_EQ(static_cast<char>(weights[59]), 'a');
  EXPECT_EQ(static_cast<int>(weights[60]), 0);
  EXPECT_EQ(static_cast<char>(weights[128]), 'b');
  EXPECT_EQ(artifact.kernels("host").size(), 5u);
  expectContains(errorOf([&] { artifact.kernels("sm_90"); }), "kernels/sm_90");
  EXPECT_EQ(artifact.tokenizerFile("config.json"), "{}");
  EXPECT_EQ(artifact.tokenizerFile("tokenizer.json"), "");
  EXPECT_FALSE(artifact.tokenizerFile("other"));
}

void writeSeveralTargets(const std::string &path, const std::function<void(Plan &)> &editSecond = {}) {
  ArtifactWriter writer(path);
  Plan plan = samplePlan();
  plan.target = "sm_86";
  plan.weightsPresent = false;
  writer.declareKernels("sm_86", 3);
  writer.declareKernels("emulator:sm_86", 2);
  writer.declareKernels("host", 1);
  writer.setPlan(plan);
  for (const char *target : {"host", "emulator:sm_86"}) {
    plan.target = target;
    plan.form = target;
    if (editSecond)
      editSecond(plan);
    writer.setPlan(plan);
  }
  writer.setProvenance({{"tool", "test"}});
  writer.begin();
  writer.write(asBytes("PTXeeh"));
  writer.finish();
}

TEST(Artifact, SeveralTargets) {
  TempDir dir;
  writeSeveralTargets(dir / "m.qlr");
  Artifact artifact = Artifact::open(dir / "m.qlr");
  EXPECT_EQ(artifact.targets(), (std::vector<std::string>{"sm_86", "emulator:sm_86", "host"}));
  EXPECT_EQ(artifact.plan().target, "sm_86");
  EXPECT_EQ(artifact.plan("host").form, "host");
  EXPECT_EQ(&artifact.plan("sm_86"), &artifact.plan());
  EXPECT_EQ(artifact.kernels("emulator:sm_86").size(), 2u);
  expectContains(errorOf([&] { artifact.plan("sm_90"); }),
                 "found an artifact for sm_86, emulator:sm_86, host, expected one for sm_90");
}

TEST(Artifact, TargetsShareModelAndWeights) {
  TempDir dir;
  auto refusalOf = [&](const std::function<void(Plan &)> &edit) {
    writeSeveralTargets(dir / "m.qlr", edit);
    return errorOf([&] { Artifact::open(dir / "m.qlr"); });
  };
  expectContains(refusalOf([](Plan &plan) { plan.weightsBytes = 512; }), "weights_bytes: found 512, expected 256");
  expectContains(refusalOf([](Plan &plan) { plan.model.vocab = 11; }), "found another model, expected that of sm_86");
}

TEST(Artifact, WithoutWeights) {
  TempDir dir;
  writeArtifact(dir / "m.qlr", false);
  Artifact artifact = Artifact::open(dir / "m.qlr");
  EXPECT_FALSE(artifact.plan().weightsPresent);
  EXPECT_TRUE(artifact.weights().empty());
}

TEST(Artifact, EveryFlippedBitIsFound) {
  TempDir dir;
  std::string path = dir / "m.qlr";
  writeArtifact(path);
  std::string good = readFile(path);
  std::mt19937 random(3);
  for (size_t i = 0; i < good.size(); i += 1 + random() % 9) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << random() % 8));
    writeFile(path, bad);
    EXPECT_THROW(Artifact::open(path), Error) << "byte " << i;
  }
  for (size_t size = 0; size < good.size(); size += 61) {
    writeFile(path, good.substr(0, size));
    EXPECT_THROW(Artifact::open(path), Error) << "cut to " << size;
  }
  std::string bad = good;
  bad[bad.size() - 1] ^= 1;
  writeFile(path, bad);
  std::string message = errorOf([&] { Artifact::open(path); });
  expectContains(message, "tokenizer/config.json");
  EXPECT_NO_THROW(Artifact::open(path, Artifact::Verify::Header));
  Artifact artifact = Artifact::open(path, Artifact::Verify::Header);
  EXPECT_NO_THROW(artifact.verifyTensors("weights/"));
  EXPECT_THROW(artifact.verifyTensors("tokenizer/"), Error);
}

TEST(Artifact, OtherSafetensorsFilesAreNamed) {
  TempDir dir;
  SafetensorsWriter writer(dir / "a.safetensors");
  writer.begin();
  writer.finish();
  expectContains(errorOf([&] { Artifact::open(dir / "a.safetensors"); }), "qlr compile");
}

} // namespace
