// qlr-run as a program, on the toy with the demo model's tokenizer.
#include "runtime/format/Hash.h"
#include "test/unit/exec/ToyArtifact.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

constexpr uint32_t demoVocab = 2048;
constexpr const char *qwen2Template =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou "
    "are "
    "a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

class RunProgram : public testing::Test {
protected:
  void SetUp() override {
    model = directory.file("toy.qlr");
    ToyOptions options;
    options.vocab = demoVocab;
    options.maxPositions = 1000000;
    options.tokenizerDir = directory.file("tokenizer");
    runCommand("mkdir " + options.tokenizerDir + " && cp " QLR_SOURCE_DIR "/test/models/demo/*.json " +
               options.tokenizerDir);
    writeFile(options.tokenizerDir + "/tokenizer_config.json", json({{"chat_template", qwen2Template}}).dump());
    writeToyArtifact(model, options);
  }

  Outcome run(const std::string &arguments) { return runCommand(QLR_PROGRAMS "/qlr-run " + arguments); }
  static bool contains(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
  }

  TemporaryDirectory directory;
  std::string model;
};

TEST_F(RunProgram, greedyIdsAreTheModels) {
  Outcome outcome = run(model + " --prompt-ids 5,6,7 -n 6 --temp 0 --repeat-penalty 1 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  json result = json::parse(outcome.out);
  std::vector<uint32_t> ids = {5, 6, 7}, expected;
  for (int i = 0; i < 6; ++i) {
    expected.push_back(toyNext(ids, demoVocab));
    ids.push_back(expected.back());
  }
  EXPECT_EQ(result["prompt_ids"], json({5, 6, 7}));
  EXPECT_EQ(result["ids"], json(expected));
  EXPECT_EQ(result["finish"], "length");
  // The last logits are those that chose the last id.
  std::vector<float> logits(demoVocab, 0.0f);
  logits[expected.back()] = toyLogit;
  EXPECT_EQ(result["logits_hash"], xxh64Hex(std::as_bytes(std::span(logits))));
  EXPECT_TRUE(contains(outcome.err, "6 tokens at")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "GB/s of weights; logits " + result["logits_hash"].get<std::string>()));
}

TEST_F(RunProgram, textIsStreamedAsItIsInJson) {
  std::string arguments = model + " --raw -p 'Once upon a time' -n 40 --temp 0";
  Outcome streamed = run(arguments), whole = run(arguments + " --json");
  ASSERT_EQ(streamed.code, 0) << streamed.err;
  EXPECT_EQ(streamed.out, json::parse(whole.out)["text"].get<std::string>() + "\n");
}

TEST_F(RunProgram, chatTemplateIsAppliedUnlessRaw) {
  Outcome chat = run(model + " -p Hi -sys Short. -n 0 --json"), raw = run(model + " -p Hi -n 0 --json --raw");
  ASSERT_EQ(chat.code, 0) << chat.err;
  ASSERT_EQ(raw.code, 0) << raw.err;
  EXPECT_GT(json::parse(chat.out)["prompt_ids"].size(), json::parse(raw.out)["prompt_ids"].size() + 10);
}

TEST_F(RunProgram, seedDecidesWhatIsDrawn) {
  std::string arguments = model + " --prompt-ids 5 -n 20 --temp 3 --top-k 0 --top-p 1 --json --seed ";
  Outcome a = run(arguments + "1"), b = run(arguments + "1"), c = run(arguments + "2");
  ASSERT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(json::parse(a.out)["ids"], json::parse(b.out)["ids"]);
  EXPECT_NE(json::parse(a.out)["ids"], json::parse(c.out)["ids"]);
}

TEST_F(RunProgram, aFullContextStopsWithAMessage) {
  Outcome outcome = run(model + " --prompt-ids 1,2,3 -n 50 --temp 0 --ctx-size 10 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["finish"], "context");
  EXPECT_EQ(json::parse(outcome.out)["ids"].size(), 8u); // 7 more in the cache, and the one they predict
  EXPECT_TRUE(contains(outcome.err, "the context of 10 tokens is full")) << outcome.err;
}

TEST_F(RunProgram, interactiveChatAnswersEachLine) {
  Outcome outcome = run("-n 3 --temp 0 " + model + " <<'END'\nHello\n\nAgain\nEND\n");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 2) << outcome.err; // two answers, two last lines
}

TEST_F(RunProgram, interruptEndsWithTheLastLine) {
  Outcome outcome =
      run(model + " --prompt-ids 1,2,3 -n -1 --temp 0 --ctx-size 0 --ignore-eos >/dev/null & pid=$!; sleep 0.3; "
                  "kill -INT $pid; wait $pid");
  EXPECT_EQ(outcome.code, 130);
  EXPECT_TRUE(contains(outcome.err, "stopped by the user")) << outcome.err;
  EXPECT_TRUE(contains(outcome.err, "GB/s of weights; logits")) << outcome.err;
}

TEST_F(RunProgram, mistakesAreOneClearError) {
  struct Case {
    std::string arguments, message;
  };
  for (const Case &c : std::vector<Case>{
           {"nowhere.qlr -p x", "error: nowhere.qlr: "},
           {model + " -p x -f y", "error: found more than one prompt"},
           {model + " --prompt-ids 1,x", "error: --prompt-ids: found 'x'"},
           {model + " --prompt-ids 1,5000", "error: " + model + ": token ids: found 5000, expected 0 to 2047"},
           {model + " -p x --device toaster", "error: --device: found 'toaster', expected host"},
           {model + " -p x --cpu-level sse", "error: --cpu-level: found 'sse'"},
           {model + " -p x --ctx-size 1000001", "error: " + model + ": --ctx-size: found 1000001"},
           {model + " --prompt-ids 1,2,3 --ctx-size 2", "expected at most the context's 2"},
           {model + " -p x --memory-limit 4kB", "of available memory, expected"},
           {model + " --raw", "error: found no prompt"},
           {"", "error: found no model"},
           {directory.file(""), "found no config.json"},
       }) {
    Outcome outcome = run(c.arguments);
    EXPECT_EQ(outcome.code, 1) << c.arguments;
    EXPECT_TRUE(contains(outcome.err, c.message)) << c.arguments << ": " << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  EXPECT_EQ(run("--no-such-flag").code, 2);
}

TEST_F(RunProgram, versionAndDevicesAreTold) {
  EXPECT_EQ(run("--version").out.rfind("qlr run ", 0), 0u);
  EXPECT_EQ(run("--list-devices").out.rfind("host: ", 0), 0u);
  EXPECT_EQ(run("--help").code, 0);
}

TEST_F(RunProgram, aDirectoryWithoutTheCompilerSaysSo) {
  // The program alone, as the runtime is installed on its own.
  std::string bin = directory.file("bin");
  runCommand("mkdir -p " + bin + " && cp " QLR_PROGRAMS "/qlr-run " + bin);
  Outcome outcome = runCommand(bin + "/qlr-run " QLR_SOURCE_DIR "/test/models/demo -p x");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(contains(outcome.err, "no qlr-compile beside this program")) << outcome.err;
}

TEST_F(RunProgram, aDirectoryIsCompiledOnceAndKept) {
  // A compiler that hands out the toy stands beside the program.
  std::string bin = directory.file("bin"), count = directory.file("count");
  runCommand("mkdir -p " + bin + " && cp " QLR_PROGRAMS "/qlr-run " + bin);
  writeFile(bin + "/qlr-compile", "#!/bin/sh\necho run >>" + count + "\ncp " + model + " \"$5\"\n");
  std::string copy = directory.file("model");
  runCommand("chmod +x " + bin + "/qlr-compile; cp -r " QLR_SOURCE_DIR "/test/models/demo " + copy);
  std::string command = "XDG_CACHE_HOME=" + directory.file("cache") + " " + bin + "/qlr-run " + copy +
                        " --prompt-ids 5,6 -n 2 --temp 0 --json";
  Outcome first = runCommand(command), second = runCommand(command);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(json::parse(first.out)["ids"], json::parse(second.out)["ids"]);
  EXPECT_EQ(readFile(count), "run\n");
  // A changed file is another model.
  runCommand("printf ' ' >>" + copy + "/config.json");
  EXPECT_EQ(runCommand(command).code, 0);
  EXPECT_EQ(readFile(count), "run\nrun\n");
  // A damaged artifact in the cache is made again.
  runCommand("for f in " + directory.file("cache") + "/qlr/*.qlr; do truncate -s -100 $f; done");
  Outcome repaired = runCommand(command);
  EXPECT_EQ(repaired.code, 0) << repaired.err;
  EXPECT_TRUE(contains(repaired.err, "made again")) << repaired.err;
  EXPECT_EQ(readFile(count), "run\nrun\nrun\n");
  // A compiler that fails is named.
  writeFile(bin + "/qlr-compile", "#!/bin/sh\necho no >&2\nexit 3\n");
  Outcome failed = runCommand(command);
  EXPECT_EQ(failed.code, 1);
  EXPECT_TRUE(contains(failed.err, "qlr-compile ended with code 3")) << failed.err;
}

} // namespace
