#include "runtime/exec/Evaluate.h"

#include "runtime/exec/Windows.h"
#include "test/unit/exec/ToyArtifact.h"

#include <cmath>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <numeric>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

constexpr uint32_t vocab = 97;

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

/// -log of the probability the toy gives to the token it predicts, and to any other.
double toyNll(int logit, bool predicted) { return std::log(std::exp(logit) + vocab - 1) - (predicted ? logit : 0); }

double toyKl(int from, int to) {
  double z = std::exp(from) + vocab - 1, p = std::exp(from) / z, q = 1 / z;
  return p * (toyNll(to, true) - toyNll(from, true)) + (vocab - 1) * q * (toyNll(to, false) - toyNll(from, false));
}

/// Ids the toy would write itself.
std::vector<uint32_t> toyText(uint32_t first, size_t count) {
  std::vector<uint32_t> ids = {first};
  while (ids.size() < count)
    ids.push_back(toyNext(ids, vocab));
  return ids;
}

std::vector<uint32_t> counting(size_t count) {
  std::vector<uint32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

class EvaluateTest : public testing::Test {
protected:
  Session open(int logit, uint32_t words = vocab) {
    std::string path = directory.file("toy" + std::to_string(logit) + ".qlr");
    ToyOptions toy;
    toy.vocab = words;
    toy.logit = logit;
    writeToyArtifact(path, toy);
    SessionOptions options;
    options.allLogits = true;
    return Session(std::make_shared<Artifact>(Artifact::open(path)), options);
  }

  TemporaryDirectory directory;
  ThreadPool pool{2};
};

TEST_F(EvaluateTest, everyPositionButTheLastIsScored) {
  Session session = open(4);
  for (size_t length : {2u, 9u, 17u, 128u, 129u, 256u, 300u}) {
    Evaluation sums = evaluate(session, nullptr, {toyText(5, length)}, 0, pool, {});
    EXPECT_EQ(sums.nll.count(), length - 1);
    EXPECT_NEAR(sums.nll.mean(), toyNll(4, true), 1e-12) << length;
  }
}

TEST_F(EvaluateTest, aWrongTokenCostsAtItsPositionOnly) {
  Session session = open(4);
  std::vector<uint32_t> ids = toyText(5, 100);
  ids.back() = (ids.back() + 1) % vocab;
  Evaluation sums = evaluate(session, nullptr, {ids}, 0, pool, {});
  EXPECT_NEAR(sums.nll.mean(), (98 * toyNll(4, true) + toyNll(4, false)) / 99, 1e-12);
  // Scored from the middle on, as llama-512 does it.
  sums = evaluate(session, nullptr, {ids}, 50, pool, {});
  EXPECT_EQ(sums.nll.count(), 49u);
  EXPECT_NEAR(sums.nll.mean(), (48 * toyNll(4, true) + toyNll(4, false)) / 49, 1e-12);
}

TEST_F(EvaluateTest, windowsStartAnew) {
  Session session = open(4);
  int calls = 0;
  Evaluation sums = evaluate(session, nullptr, {toyText(5, 40), toyText(9, 60)}, 0, pool,
                             [&](uint64_t done, const Evaluation &) { EXPECT_EQ(done, unsigned(++calls)); });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(sums.nll.count(), 98u);
  EXPECT_NEAR(sums.nll.mean(), toyNll(4, true), 1e-12);
}

TEST_F(EvaluateTest, divergenceIsThatOfReferenceAgainstModel) {
  Session model = open(2), reference = open(4);
  for (size_t length : {7u, 256u, 300u}) {
    Evaluation sums = evaluate(model, &reference, {toyText(5, length)}, 0, pool, {});
    EXPECT_EQ(sums.kl.count(), length - 1);
    EXPECT_NEAR(sums.kl.mean(), toyKl(4, 2), 1e-12);
    EXPECT_NEAR(sums.nll.mean(), toyNll(2, true), 1e-12);
    EXPECT_NEAR(sums.referenceNll.mean(), toyNll(4, true), 1e-12);
    EXPECT_EQ(sums.sameTop, length - 1);
  }
  Session other = open(4, 101);
  EXPECT_TRUE(contains(messageOf([&] { evaluate(model, &other, {{1, 2}}, 0, pool, {}); }), "a vocabulary of 101"));
}

TEST(Windows, protocolsAreTheKnownOnes) {
  Protocol protocol = Protocol::parse("gptq-2048");
  EXPECT_EQ(protocol.length, 2048u);
  EXPECT_EQ(protocol.firstScored, 0u);
  EXPECT_EQ(Protocol::parse("gptq-4096").length, 4096u);
  protocol = Protocol::parse("llama-512");
  EXPECT_EQ(protocol.length - 1 - protocol.firstScored, 255u);
  EXPECT_EQ(Protocol::parse("window:256").length, 256u);
  for (const char *bad : {"window:1", "window:", "window:x", "window:99999999", "gptq", ""})
    EXPECT_TRUE(contains(messageOf([&] { Protocol::parse(bad); }), "--protocol")) << bad;
}

TEST(Windows, doNotOverlapAndDropTheTail) {
  std::vector<uint32_t> ids = counting(1030);
  auto windows = cutWindows(ids, Protocol::parse("window:256"), 0, "t.txt");
  ASSERT_EQ(windows.size(), 4u);
  EXPECT_EQ(windows[3].front(), 768u);
  EXPECT_EQ(windows[3].back(), 1023u);
  EXPECT_EQ(cutWindows(ids, Protocol::parse("window:256"), 3, "t.txt").size(), 3u);
  EXPECT_EQ(cutWindows(ids, Protocol::parse("llama-512"), 0, "t.txt").size(), 2u);
  std::string message =
      messageOf([&] { cutWindows(std::span(ids).first(1023), Protocol::parse("llama-512"), 0, "t.txt"); });
  EXPECT_TRUE(contains(message, "t.txt: found 1023 tokens, expected at least 1024")) << message;
  // The counts of the published text.
  std::vector<uint32_t> wikitext(299078);
  EXPECT_EQ(cutWindows(wikitext, Protocol::parse("gptq-2048"), 0, "").size(), 146u);
  EXPECT_EQ(cutWindows(wikitext, Protocol::parse("gptq-4096"), 0, "").size(), 73u);
  EXPECT_EQ(cutWindows(wikitext, Protocol::parse("llama-512"), 0, "").size(), 584u);
}

TEST(Windows, idFilesAreReadInBothForms) {
  TemporaryDirectory directory;
  std::string path = directory.file("ids.json");
  std::vector<std::vector<uint32_t>> expected = {{1, 2, 3}, {4, 5}};
  writeFile(path, "[[1,2,3],[4,5]]");
  EXPECT_EQ(readWindows(path, 0), expected);
  writeFile(path, R"({"rows": [{"ids": [1,2,3], "nll": 1.5}, {"ids": [4,5]}], "more": 1})");
  EXPECT_EQ(readWindows(path, 0), expected);
  EXPECT_EQ(readWindows(path, 1).size(), 1u);
  for (const char *bad : {"[]", "{}", "[[1]]", "[[1,-2]]", "[[1,2.5]]", "[\"x\"]", "[[1,2],", "3"}) {
    writeFile(path, bad);
    EXPECT_TRUE(contains(messageOf([&] { readWindows(path, 0); }), "ids.json")) << bad;
  }
}

class EvalProgram : public testing::Test {
protected:
  void SetUp() override {
    for (int logit : {2, 4}) {
      ToyOptions options;
      options.logit = logit;
      writeToyArtifact(model(logit), options);
    }
    writeFile(directory.file("ids.json"), json({toyText(5, 100), toyText(7, 30)}).dump());
  }
  std::string model(int logit) { return directory.file("toy" + std::to_string(logit) + ".qlr"); }
  Outcome run(const std::string &program, const std::string &arguments) {
    return runCommand(QLR_PROGRAMS "/" + program + " " + arguments);
  }
  TemporaryDirectory directory;
};

TEST_F(EvalProgram, jsonHasWhatIsPromised) {
  Outcome outcome = run("qlr-eval", model(2) + " perplexity --ids " + directory.file("ids.json") + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  json result = json::parse(outcome.out);
  EXPECT_EQ(result["tokens"], 128);
  EXPECT_EQ(result["protocol"], "ids");
  EXPECT_EQ(result["activations"], "fp32");
  EXPECT_NEAR(result["nll"], toyNll(2, true), 1e-12);
  EXPECT_NEAR(result["perplexity"], std::exp(toyNll(2, true)), 1e-9);
  outcome =
      run("qlr-eval", model(2) + " kl --reference " + model(4) + " --ids " + directory.file("ids.json") + " --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  result = json::parse(outcome.out);
  EXPECT_EQ(result["tokens"], 128);
  EXPECT_EQ(result["top1"], 1.0);
  EXPECT_NEAR(result["kl"], toyKl(4, 2), 1e-12);
}

TEST_F(EvalProgram, textNamesTheProtocolAndShowsProgress) {
  Outcome outcome = run("qlr-eval", model(2) + " perplexity --ids " + directory.file("ids.json"));
  EXPECT_TRUE(contains(outcome.out, "perplexity   13.9922")) << outcome.out;
  EXPECT_TRUE(contains(outcome.err, "window 2/2")) << outcome.err;
}

TEST_F(EvalProgram, mistakesAreOneClearError) {
  writeFile(directory.file("long.json"), json({counting(1001)}).dump());
  for (const auto &[arguments, message] : std::vector<std::pair<std::string, std::string>>{
           {"perplexity", "error: found nothing to measure on"},
           {"perplexity --text no.txt", "error: no.txt: "},
           {"perplexity --ids no.json", "error: no.json: "},
           {"perplexity --text " + model(2) + " --protocol x", "error: --protocol: found 'x'"},
           {"perplexity --text " + model(2), "no tokenizer"},
           {"perplexity --ids " + directory.file("long.json"),
            "a window of 1001 tokens, expected at most the model's 1000"},
       }) {
    Outcome outcome = run("qlr-eval", model(2) + " " + arguments);
    EXPECT_EQ(outcome.code, 1) << arguments;
    EXPECT_TRUE(contains(outcome.err, message)) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(run("qlr-eval", model(2)).code, 2);
  EXPECT_EQ(run("qlr-eval", model(2) + " kl --ids x").code, 2);
}

TEST_F(EvalProgram, benchPrintsEveryForm) {
  std::string arguments = model(2) + " -p 200 -n 16 -r 3 --bandwidth 20 -o ";
  Outcome table = run("qlr-bench", arguments + "md"), csv = run("qlr-bench", arguments + "csv"),
          text = run("qlr-bench", arguments + "json --profile");
  EXPECT_TRUE(contains(table.out, "| pp200 |")) << table.out << table.err;
  EXPECT_TRUE(contains(csv.out, ",tg16,"));
  json result = json::parse(text.out);
  EXPECT_EQ(result["results"].size(), 2u);
  EXPECT_EQ(result["results"][1]["weight_bytes_per_token"], 4 + vocab * 4);
  EXPECT_EQ(result["results"][1]["samples"].size(), 3u);
  EXPECT_TRUE(contains(text.err, "append1")) << text.err;
  EXPECT_EQ(run("qlr-bench", model(2) + " -p 2000").code, 1);
}

TEST(Driver, verbsAreProgramsBesideIt) {
  EXPECT_EQ(runCommand(QLR_PROGRAMS "/qlr --version").out.rfind("qlr ", 0), 0u);
  EXPECT_TRUE(contains(runCommand(QLR_PROGRAMS "/qlr help").out, "compress"));
  EXPECT_EQ(runCommand(QLR_PROGRAMS "/qlr run --version").out.rfind("qlr run ", 0), 0u);
  EXPECT_EQ(runCommand(QLR_PROGRAMS "/qlr help eval").code, 0);
  for (const char *wrong : {"fly", "../qlr-run", "''", "RUN"}) {
    Outcome outcome = runCommand(QLR_PROGRAMS "/qlr " + std::string(wrong) + " x");
    EXPECT_NE(outcome.code, 0) << wrong;
    EXPECT_FALSE(outcome.err.empty()) << wrong;
  }
}

} // namespace
