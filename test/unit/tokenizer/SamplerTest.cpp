#include "runtime/sampler/Sampler.h"
#include "test/unit/format/TestSupport.h"

#include <cmath>
#include <limits>
#include <map>

using namespace qlr;
using namespace qlr::test;

namespace {

using Logits = std::vector<float>;

/// Shares of 20,000 draws.
std::map<uint32_t, double> shares(const SamplingOptions &options, const Logits &logits,
                                  const std::vector<uint32_t> &context = {}, uint32_t limit = 0, int draws = 20'000) {
  Sampler sampler(options, limit);
  std::map<uint32_t, double> result;
  for (int i = 0; i < draws; ++i)
    result[sampler.sample(logits, context)] += 1.0 / draws;
  return result;
}

void expectShares(const std::map<uint32_t, double> &found, const std::map<uint32_t, double> &expected) {
  double total = 0;
  for (auto [id, weight] : expected)
    total += weight;
  ASSERT_EQ(found.size(), expected.size());
  for (auto [id, weight] : expected) {
    ASSERT_TRUE(found.count(id)) << id;
    EXPECT_NEAR(found.at(id), weight / total, 0.02) << id; // more than four standard deviations
  }
}

/// Logits whose weights are 8, 4, 2, 1 for ids 2, 0, 3, 1.
const Logits some = {std::log(4.f), 0.f, std::log(8.f), std::log(2.f)};

TEST(Sampler, Greedy) {
  Sampler sampler(SamplingOptions{});
  EXPECT_EQ(sampler.sample(some, {}), 2u);
  EXPECT_EQ(sampler.sample(Logits{1, 3, 3}, {}), 1u) << "the lower id of equals";
  EXPECT_EQ(argmax(some), 2u);
}

TEST(Sampler, PaddedVocabulary) {
  Logits logits = {1, 2, 9, 9};
  EXPECT_EQ(Sampler(SamplingOptions{}, 2).sample(logits, {}), 1u);
  EXPECT_EQ(Sampler(SamplingOptions{}, 9).sample(logits, {}), 2u);
  for (auto [id, share] : shares({.temperature = 1}, logits, {}, 2))
    EXPECT_LT(id, 2u);
}

TEST(Sampler, RepetitionPenaltyAsInHuggingFace) {
  Sampler sampler({.repetitionPenalty = 2});
  EXPECT_EQ(sampler.sample(Logits{4, 3, -1}, std::vector<uint32_t>{0, 0, 0}), 1u) << "4 / 2, once";
  EXPECT_EQ(sampler.sample(Logits{-2, -3, -9}, std::vector<uint32_t>{0}), 1u) << "-2 * 2";
  EXPECT_EQ(sampler.sample(Logits{4, 3, -1}, std::vector<uint32_t>{99}), 0u) << "ids outside are ignored";
}

TEST(Sampler, Distribution) {
  expectShares(shares({.temperature = 1, .seed = 1}, some), {{2, 8}, {0, 4}, {3, 2}, {1, 1}});
  expectShares(shares({.temperature = 2, .seed = 2}, some), {{2, std::sqrt(8)}, {0, 2}, {3, std::sqrt(2)}, {1, 1}});
}

TEST(Sampler, Cuts) {
  expectShares(shares({.temperature = 1, .topK = 2}, some), {{2, 8}, {0, 4}});
  expectShares(shares({.temperature = 1, .topK = 1}, some), {{2, 8}});
  expectShares(shares({.temperature = 1, .topP = 0.5}, some), {{2, 8}});
  expectShares(shares({.temperature = 1, .topP = 0.54}, some), {{2, 8}, {0, 4}});
  expectShares(shares({.temperature = 1, .topP = 0.9}, some), {{2, 8}, {0, 4}, {3, 2}});
  expectShares(shares({.temperature = 1, .topP = 0}, some), {{2, 8}});
  expectShares(shares({.temperature = 1, .minP = 0.24}, some), {{2, 8}, {0, 4}, {3, 2}});
  expectShares(shares({.temperature = 1, .minP = 1}, some), {{2, 8}});
}

TEST(Sampler, OrderOfTheSteps) {
  // Temperature before top-p: flat weights need more of them. 8^(1/2)/(sum of roots) = 0.39.
  expectShares(shares({.temperature = 2, .topP = 0.5}, some), {{2, std::sqrt(8)}, {0, 2}});
  // Top-k before top-p: of 8 and 4 alone, 8 is 0.67.
  expectShares(shares({.temperature = 1, .topK = 2, .topP = 0.6}, some), {{2, 8}});
  // Penalty before temperature and cuts.
  expectShares(shares({.temperature = 1, .topK = 1, .repetitionPenalty = 3}, some, {2}), {{0, 4}});
}

TEST(Sampler, LargeVocabulariesAreCutExactly) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 3);
  Logits logits(5000);
  for (float &logit : logits)
    logit = normal(random);
  // The set by definition: sort everything, add up until 0.7.
  std::vector<uint32_t> order(logits.size());
  for (uint32_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return logits[a] > logits[b]; });
  double total = 0, sum = 0;
  for (float logit : logits)
    total += std::exp(logit);
  std::map<uint32_t, double> expected;
  for (size_t i = 0; i < order.size() && sum < 0.98 * total; ++i) {
    expected[order[i]] = std::exp(logits[order[i]]);
    sum += expected[order[i]];
  }
  ASSERT_GT(expected.size(), 600u) << "more than one portion is sorted";
  std::map<uint32_t, double> found = shares({.temperature = 1, .topP = 0.98}, logits, {}, 0, 1000);
  for (auto [id, share] : found)
    EXPECT_TRUE(expected.count(id)) << id;
}

TEST(Sampler, SeedsDecide) {
  SamplingOptions options{.temperature = 1, .seed = 7};
  Sampler a(options), b(options);
  options.seed = 8;
  Sampler c(options);
  bool differs = false;
  std::vector<uint32_t> first;
  for (int i = 0; i < 50; ++i) {
    first.push_back(a.sample(some, {}));
    EXPECT_EQ(first.back(), b.sample(some, {}));
    differs |= first.back() != c.sample(some, {});
  }
  EXPECT_TRUE(differs);
  // std::mt19937_64 is fixed by the standard, and so are these.
  std::mt19937_64 random(7);
  const double weights[] = {4, 1, 8, 2};
  for (uint32_t id : first) {
    double target = static_cast<double>(random() >> 11) * 0x1p-53 * 15;
    uint32_t expected = 0;
    while (expected < 3 && (target -= weights[expected]) >= 0)
      ++expected;
    EXPECT_EQ(id, expected);
  }
}

TEST(Sampler, Refusals) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                    -std::numeric_limits<float>::infinity()}) {
    Sampler sampler({.temperature = 1});
    expectContains(errorOf([&] { sampler.sample(Logits{0, bad}, {}); }), "not finite (token 1)");
  }
  expectContains(errorOf([] { Sampler({.temperature = -1}); }), "temperature");
  expectContains(errorOf([] { Sampler({.topP = 1.5}); }), "top-p");
  expectContains(errorOf([] { Sampler({.minP = std::nan("")}); }), "min-p");
  expectContains(errorOf([] { Sampler({.repetitionPenalty = 0}); }), "repetition penalty");
}

TEST(GenerationConfig, Files) {
  TempDir dir;
  EXPECT_EQ(GenerationConfig::load(dir.path()).sampling, SamplingOptions{}) << "without the file: greedy";
  auto config = GenerationConfig::parse(R"({"do_sample":true,"eos_token_id":[151645,151643],"repetition_penalty":1.1,)"
                                        R"("temperature":0.7,"top_k":20,"top_p":0.8})",
                                        "f");
  EXPECT_EQ(config.sampling, (SamplingOptions{.temperature = 0.7, .topK = 20, .topP = 0.8, .repetitionPenalty = 1.1}));
  EXPECT_EQ(config.eosIds, (std::vector<uint32_t>{151645, 151643}));
  config = GenerationConfig::parse(R"({"temperature":0.7,"eos_token_id":2})", "f");
  EXPECT_EQ(config.sampling, SamplingOptions{}) << "do_sample is false by default";
  EXPECT_EQ(config.eosIds, (std::vector<uint32_t>{2}));
  config = GenerationConfig::parse(R"({"do_sample":true})", "f");
  EXPECT_EQ(config.sampling, (SamplingOptions{.temperature = 1, .topK = 50}));
  for (const char *bad : {R"({"temperature":"x"})", R"({"temperature":-1})"}) {
    std::string text = bad;
    text.insert(1, R"("do_sample":true,)");
    expectContains(errorOf([&] { GenerationConfig::parse(text, "f"); }), "f: temperature");
  }
  EXPECT_THROW(GenerationConfig::parse(R"({"eos_token_id":-1})", "f"), Error);
  EXPECT_THROW(GenerationConfig::parse(R"({"eos_token_id":[1,"2"]})", "f"), Error);
  EXPECT_THROW(GenerationConfig::parse("{", "f"), Error);
}

} // namespace
