#include "runtime/exec/Session.h"

#include "runtime/exec/Cpu.h"
#include "runtime/exec/Memory.h"
#include "test/unit/exec/ToyArtifact.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

using namespace qlr;
using namespace qlr::test;

namespace {

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

class SessionTest : public testing::Test {
protected:
  Session open(const ToyOptions &toy = {}, const SessionOptions &options = {}) {
    path = directory.file("toy.qlr");
    writeToyArtifact(path, toy);
    return Session(std::make_shared<Artifact>(Artifact::open(path)), options);
  }

  static uint32_t best(std::span<const float> logits) {
    return static_cast<uint32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  static std::vector<uint32_t> someIds(size_t count, uint32_t vocab) {
    std::vector<uint32_t> ids(count);
    for (size_t i = 0; i < count; ++i)
      ids[i] = static_cast<uint32_t>((i * 31 + 7) % vocab);
    return ids;
  }

  TemporaryDirectory directory;
  std::string path;
};

TEST_F(SessionTest, appendAgreesWithTheModelForEveryChunking) {
  for (unsigned threads : {1u, 2u, 3u}) {
    SessionOptions options;
    options.deviceOptions.threads = threads;
    Session session = open({}, options);
    for (size_t count : {1u, 7u, 8u, 9u, 127u, 128u, 129u, 300u}) {
      std::vector<uint32_t> ids = someIds(count, 97);
      session.reset();
      std::span<const float> logits = session.append(ids);
      ASSERT_EQ(logits.size(), 97u);
      EXPECT_EQ(best(logits), toyNext(ids, 97)) << count;
      EXPECT_EQ(session.position(), count);
    }
  }
}

TEST_F(SessionTest, decodeContinuesAndRewindForgets) {
  Session session = open();
  std::vector<uint32_t> ids = someIds(20, 97);
  uint32_t next = best(session.append(ids));
  for (int step = 0; step < 5; ++step) {
    ids.push_back(next);
    next = best(session.append(std::span(&next, 1)));
    EXPECT_EQ(next, toyNext(ids, 97));
  }
  session.rewind(20);
  ids.resize(20);
  ids.push_back(3);
  uint32_t three = 3;
  EXPECT_EQ(best(session.append(std::span(&three, 1))), toyNext(ids, 97));
}

TEST_F(SessionTest, appendAllGivesEveryPosition) {
  SessionOptions options;
  options.allLogits = true;
  Session session = open({}, options);
  std::vector<uint32_t> ids = someIds(128 + 16 + 3, 97);
  std::vector<uint32_t> predicted(ids.size(), 0);
  session.appendAll(ids, [&](uint32_t first, uint32_t rows, const float *logits, uint64_t stride) {
    for (uint32_t row = 0; row < rows; ++row)
      predicted.at(first + row) = best(std::span(logits + row * stride, 97));
  });
  for (size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(predicted[i], toyNext({ids.begin(), ids.begin() + i + 1}, 97)) << i;
}

TEST_F(SessionTest, weightBytesAreCountedFromThePlan) {
  Session session = open();
  session.append(someIds(128 + 8 + 2, 97));
  EXPECT_EQ(session.weightBytesRead(), 4u * (97 * 4 + 4));
}

TEST_F(SessionTest, cancellingStopsBetweenChunks) {
  Session session = open();
  int asked = 0;
  std::span<const float> logits = session.append(someIds(300, 97), [&] { return ++asked == 3; });
  EXPECT_TRUE(logits.empty());
  EXPECT_EQ(session.position(), 256u);
}

TEST_F(SessionTest, refusesIdsOutsideTheVocabulary) {
  Session session = open();
  std::vector<uint32_t> ids = {1, 97};
  std::string message = messageOf([&] { session.append(ids); });
  EXPECT_TRUE(contains(message, "found 97, expected 0 to 96")) << message;
  EXPECT_EQ(session.position(), 0u);
}

TEST_F(SessionTest, theEndOfTheContextStopsWithAMessage) {
  SessionOptions options;
  options.context = 10;
  Session session = open({}, options);
  EXPECT_EQ(session.context(), 10u);
  std::string message = messageOf([&] { session.append(someIds(11, 97)); });
  EXPECT_TRUE(contains(message, "found 11 tokens, expected at most the context's 10; raise --ctx-size")) << message;
  session.append(someIds(10, 97));
}

TEST_F(SessionTest, aContextBeyondTheModelsIsRefused) {
  SessionOptions options;
  options.context = 1001;
  std::string message = messageOf([&] { open({}, options); });
  EXPECT_TRUE(contains(message, "--ctx-size: found 1001, expected at most the model's 1000 positions")) << message;
}

TEST_F(SessionTest, nonFiniteLogitsStopWithPositionAndFile) {
  ToyOptions toy;
  toy.poison = 5;
  Session session = open(toy);
  std::vector<uint32_t> ids = {1, 2, 5};
  std::string message = messageOf([&] { session.append(ids); });
  EXPECT_TRUE(contains(message, "toy.qlr: logits: found a value that is not finite")) << message;
  EXPECT_TRUE(contains(message, "position 2")) << message;
}

TEST_F(SessionTest, memoryIsCheckedBeforeItIsTaken) {
  ToyOptions toy;
  toy.edit = [](Plan &plan) {
    plan.model.layers = 4096;
    plan.model.headDim = 32;
    plan.cacheBytesPerPosition = 1u << 20;
  };
  SessionOptions options;
  options.deviceOptions.memoryLimit = 200u << 20;
  options.context = 1000;
  std::string message = messageOf([&] { open(toy, options); });
  EXPECT_TRUE(contains(message, "found 209.7 MB of available memory, expected 1.07 GB for a context of 1000"))
      << message;
  EXPECT_TRUE(contains(message, "the largest context that fits is --ctx-size 192")) << message;
  options.context = 192;
  EXPECT_EQ(open(toy, options).context(), 192u);
  options.context = 0; // the model's, bounded by memory
  EXPECT_EQ(open(toy, options).context(), 192u);
  options.deviceOptions.memoryLimit = 1u << 20;
  message = messageOf([&] { open(toy, options); });
  EXPECT_TRUE(contains(message, "no context fits")) << message;
}

TEST_F(SessionTest, defaultContextIsTheSmallerOf4096AndTheModels) {
  EXPECT_EQ(open().context(), 1000u);
  ToyOptions toy;
  toy.maxPositions = 100000;
  EXPECT_EQ(open(toy).context(), 4096u);
}

TEST_F(SessionTest, anArtifactWithoutKernelsDoesNotRun) {
  ToyOptions toy;
  toy.kernels = false;
  std::string message = messageOf([&] { open(toy); });
  EXPECT_TRUE(contains(message, "kernels/host")) << message;
}

TEST_F(SessionTest, anArtifactWithoutWeightsDoesNotRun) {
  ToyOptions toy;
  toy.weights = false;
  std::string message = messageOf([&] { open(toy); });
  EXPECT_TRUE(contains(message, "--no-weights")) << message;
}

TEST_F(SessionTest, anotherTargetOrDeviceIsRefusedByName) {
  ToyOptions toy;
  toy.edit = [](Plan &plan) { plan.target = "sm_86"; };
  SessionOptions options;
  options.device = "host";
  std::string message = messageOf([&] { open(toy, options); });
  EXPECT_TRUE(contains(message, "found an artifact for sm_86, expected one for host")) << message;
  options.device = "toaster";
  message = messageOf([&] { open({}, options); });
  EXPECT_TRUE(contains(message, "found 'toaster', expected host")) << message;
}

TEST_F(SessionTest, aMissingKernelIsNamed) {
  ToyOptions toy;
  toy.edit = [](Plan &plan) { plan.kernels[0].stages[0].symbol = "nothing"; };
  std::string message = messageOf([&] { open(toy); });
  EXPECT_TRUE(contains(message, "kernels/host: found no symbol 'nothing_")) << message;
}

TEST_F(SessionTest, everyLevelOfThisMachineRuns) {
  for (CpuLevel level : supportedCpuLevels()) {
    SessionOptions options;
    options.deviceOptions.cpuLevel = cpuLevelName(level);
    Session session = open({}, options);
    EXPECT_TRUE(contains(session.device().describe(), cpuLevelName(level)));
    std::vector<uint32_t> ids = someIds(30, 97);
    EXPECT_EQ(best(session.append(ids)), toyNext(ids, 97));
  }
  SessionOptions options;
  options.deviceOptions.cpuLevel = "mmx";
  EXPECT_TRUE(contains(messageOf([&] { open({}, options); }), "expected avx2 or avx512"));
}

TEST_F(SessionTest, aPlanWithoutThisMachinesLevelIsRefused) {
  ToyOptions toy;
  toy.levels = {"avx2"};
  SessionOptions options;
  options.deviceOptions.cpuLevel = "avx512";
  std::string message = messageOf([&] { open(toy, options); });
  EXPECT_TRUE(contains(message, "avx512")) << message;
}

TEST_F(SessionTest, twoArtifactsAfterOneAnotherKeepTheirOwnKernels) {
  // Their memory files get the same number; the linker must not hand out the first one's code for the second.
  std::vector<uint32_t> ids = someIds(30, 97);
  for (uint32_t vocab : {97u, 101u, 113u}) {
    ToyOptions toy;
    toy.vocab = vocab;
    Session session = open(toy);
    EXPECT_EQ(best(session.append(ids)), toyNext(ids, vocab));
  }
}

TEST_F(SessionTest, profileNamesEveryStep) {
  Session session = open();
  session.device().setProfiling(true);
  session.append(someIds(1, 97));
  EXPECT_EQ(session.device().profile().size(), 2u);
}

TEST(Memory, sizesAreRead) {
  EXPECT_EQ(parseByteSize("22GB", "x"), 22000000000u);
  EXPECT_EQ(parseByteSize("1.5GiB", "x"), 1610612736u);
  EXPECT_EQ(parseByteSize("4096", "x"), 4096u);
  EXPECT_TRUE(contains(messageOf([] { parseByteSize("lots", "--memory-limit"); }), "--memory-limit: found 'lots'"));
  EXPECT_TRUE(contains(messageOf([] { parseByteSize("-1GB", "x"); }), "expected a size"));
  EXPECT_GT(availableHostMemory(), 1u << 20);
}

TEST(Session, nonFiniteIsFoundWhereverItIs) {
  std::vector<float> values(10000, 1.0f);
  EXPECT_FALSE(findNonFinite(values));
  for (size_t place : {0u, 4095u, 4096u, 9999u}) {
    std::vector<float> bad = values;
    bad[place] = place % 2 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(findNonFinite(bad), place);
  }
}

} // namespace
