// What qlr-gpu-check counts and compares with, by itself.
#include "runtime/cuda/check/Bandwidth.h"
#include "runtime/cuda/check/CompactPlan.h"
#include "runtime/cuda/check/Parity.h"
#include "runtime/exec/Session.h"
#include "runtime/format/Half.h"
#include "test/unit/cuda/CudaToy.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <set>

using namespace qlr;
using namespace qlr::cuda;
using namespace qlr::test;

namespace {

using K = PlanArg::Kind;

/// Ten layers of two kernels: one reads 1024 + 64 bytes of its own and a shared table, the other nothing. Then a head.
Plan layeredPlan() {
  Plan plan;
  plan.kernels.resize(3);
  plan.weightsBytes = 256 + 10 * 1088 + 4096;
  plan.regions = {{PlanRegion::Kind::Head, 256 + 10 * 1088, plan.weightsBytes}};
  for (uint32_t tokens : {1u, 8u}) {
    TokenPlan &list = plan.plans.emplace_back();
    list.tokens = tokens;
    for (uint64_t layer = 0; layer < 10; ++layer) {
      const uint64_t at = 256 + layer * 1088;
      list.steps.push_back(
          {0, {{K::Weights, at}, {K::Workspace, 0}, {K::Weights, at + 1024}, {K::Weights, 0}}, 1088, "q"});
      list.steps.push_back({1, {{K::Workspace, 0}, {K::Cache, layer}}, 0, "a"});
    }
    list.steps.push_back({2, {{K::Weights, 256 + 10 * 1088}}, 4096, "head"});
  }
  return plan;
}

TEST(CompactPlan, KeepsEveryLaunchWithLessWeights) {
  const Plan plan = layeredPlan();
  const Plan compact = compactPlan(plan, 3000, 1u << 20);
  // Three layers make 3000 bytes cold, beside the table and the head.
  EXPECT_EQ(compact.weightsBytes, 256u + 3 * 1088 + 4096);
  EXPECT_TRUE(compact.regions.empty());
  for (size_t p = 0; p < 2; ++p) {
    ASSERT_EQ(compact.plans[p].steps.size(), plan.plans[p].steps.size());
    std::set<uint64_t> codes;
    uint64_t before = UINT64_MAX;
    for (size_t s = 0; s < plan.plans[p].steps.size(); ++s) {
      const PlanStep &was = plan.plans[p].steps[s], &is = compact.plans[p].steps[s];
      EXPECT_EQ(is.kernel, was.kernel);
      EXPECT_EQ(is.weightBytes, was.weightBytes);
      ASSERT_EQ(is.args.size(), was.args.size());
      for (size_t a = 0; a < is.args.size(); ++a) {
        EXPECT_EQ(is.args[a].kind, was.args[a].kind);
        if (is.args[a].kind != K::Weights)
          EXPECT_EQ(is.args[a], was.args[a]);
        else
          EXPECT_LT(is.args[a].value, compact.weightsBytes);
      }
      if (is.kernel == 0) {
        EXPECT_EQ(is.args[2].value, is.args[0].value + 1024) << "a launch's tensors stay together";
        EXPECT_NE(is.args[0].value, before) << "two launches in a row read different weights";
        before = is.args[0].value;
        codes.insert(before);
      }
    }
    EXPECT_EQ(codes.size(), 3u);
  }
}

TEST(CompactPlan, TheBudgetLeavesOneLaunchOfEach) {
  EXPECT_EQ(compactPlan(layeredPlan(), 1u << 20, 0).weightsBytes, 256u + 1088 + 4096);
  EXPECT_EQ(compactPlan(layeredPlan(), 1u << 20, 256 + 2 * 1088).weightsBytes, 256u + 2 * 1088 + 4096);
  const Plan all = compactPlan(layeredPlan(), 1u << 20, 1u << 20);
  EXPECT_EQ(all.weightsBytes, layeredPlan().weightsBytes);
}

TEST(FillBytes, IsFiniteInEveryTypeAndRepeats) {
  std::vector<std::byte> bytes(100'003), again(bytes.size()), other(bytes.size());
  fillBytes(bytes.data(), bytes.size(), 7);
  fillBytes(again.data(), again.size(), 7);
  fillBytes(other.data(), other.size(), 8);
  EXPECT_EQ(bytes, again);
  EXPECT_NE(bytes, other);
  std::set<int> values;
  for (size_t i = 0; i + 4 <= bytes.size(); i += 2) {
    uint16_t half;
    uint32_t word;
    std::memcpy(&half, &bytes[i], 2);
    std::memcpy(&word, &bytes[i], 4);
    ASSERT_LT(std::fabs(f16ToF32(half)), 2);
    ASSERT_LT(std::fabs(bf16ToF32(half)), 2);
    ASSERT_LT(std::fabs(std::bit_cast<float>(word)), 2);
    values.insert(half & 0xff);
  }
  EXPECT_EQ(values.size(), 128u) << "every value that has bit 6 clear";
}

Answer someAnswer() {
  Answer answer;
  answer.vocab = 3;
  answer.prompt = {1, 2};
  answer.logits = {1, 2, 3, 4, 3, 2};
  answer.ids = {0, 1, 2, 0};
  answer.gaps = {1, 1, 0.01f, 1};
  return answer;
}

TEST(Parity, ComparesNumbersAndIds) {
  const Answer reference = someAnswer();
  Comparison same = compare(reference, reference, 0);
  EXPECT_TRUE(same.passed);
  EXPECT_EQ(same.relativeError, 0);
  EXPECT_EQ(same.topEqual, 1);
  EXPECT_EQ(same.sameIds, 4u);

  Answer found = reference;
  found.logits[0] += 0.02f;
  Comparison close = compare(found, reference, 0.01);
  EXPECT_TRUE(close.passed);
  EXPECT_NEAR(close.relativeError, 0.02 / std::sqrt(43.0), 1e-6);
  EXPECT_NEAR(close.largestError, 0.02, 1e-6);
  EXPECT_FALSE(compare(found, reference, 0.001).passed);

  found.ids[2] = 1; // where the two best were 0.01 apart, less than twice the error
  EXPECT_TRUE(compare(found, reference, 0.01).passed);
  EXPECT_EQ(compare(found, reference, 0.01).sameIds, 2u);
  found.ids[1] = 2; // where they were far apart
  EXPECT_FALSE(compare(found, reference, 0.01).passed);
  found = reference;
  found.logits[5] = NAN;
  EXPECT_FALSE(compare(found, reference, 1e9).passed);
  found.prompt = {1, 3};
  EXPECT_NE(messageOf([&] { compare(found, reference, 1); }).find("different prompts"), std::string::npos);
}

TEST(Parity, AnswersAreKeptInFiles) {
  TemporaryDirectory directory;
  const std::string path = directory.file("a.answer");
  writeAnswer(path, someAnswer());
  Answer read = readAnswer(path);
  EXPECT_TRUE(compare(read, someAnswer(), 0).passed);
  EXPECT_EQ(read.gaps, someAnswer().gaps);
  std::string content = readFile(path);
  writeFile(path, content.substr(0, content.size() - 1));
  EXPECT_NE(messageOf([&] { readAnswer(path); }).find("found 23 bytes of logits, expected 24"), std::string::npos);
  writeFile(path, "{}\n");
  EXPECT_NE(messageOf([&] { readAnswer(path); }).find("an answer of qlr-gpu-check"), std::string::npos);
}

} // namespace
