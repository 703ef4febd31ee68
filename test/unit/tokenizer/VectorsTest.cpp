// Ids made by other implementations: for the demo model's tokenizer (beside this file, made by Hugging Face's
// `tokenizers` 0.23 in Python), and for the real tokenizer of Qwen2.5, which needs ../shared.
#include "runtime/chat/ChatTemplate.h"
#include "runtime/format/Hash.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "test/unit/format/TestSupport.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

using namespace qlr;
using namespace qlr::test;
using nlohmann::json;

namespace {

using Ids = std::vector<uint32_t>;

const Tokenizer &qwen() {
  static const Tokenizer tokenizer = Tokenizer::load(sharedPath("data/qwen25_tokenizer"));
  return tokenizer;
}

/// The same tokenizer in the older layout: merges as strings.
const Tokenizer &olderLayout() {
  static const Tokenizer tokenizer = [] {
    json file = json::parse(readFile(sharedPath("data/qwen25_tokenizer") + "/tokenizer.json"));
    for (json &merge : file["model"]["merges"])
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
    file["model"].erase("ignore_merges");
    return Tokenizer::parse(file.dump(), "older");
  }();
  return tokenizer;
}

std::vector<std::string> lines(const std::string &text) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    result.push_back(line);
  return result;
}

TEST(Vectors, HuggingFaceRust) {
  QLR_NEED_SHARED(path, "data/qwen25_tokenizer/hf_rust_vectors.jsonl");
  int count = 0;
  for (const std::string &line : lines(readFile(path))) {
    json vector = json::parse(line);
    auto text = vector["text"].get<std::string>();
    Ids ids = qwen().encode(text);
    EXPECT_EQ(ids, vector["ids"].get<Ids>()) << vector["text"];
    EXPECT_EQ(olderLayout().encode(text), ids) << vector["text"];
    EXPECT_EQ(qwen().decode(ids), normalizeNfc(text));
    ++count;
  }
  EXPECT_GE(count, 200);
}

TEST(Vectors, DemoModel) {
  std::string root = QLR_SOURCE_DIR;
  Tokenizer tokenizer = Tokenizer::load(root + "/test/models/demo");
  int count = 0;
  for (const std::string &line : lines(readFile(root + "/test/unit/tokenizer/demo_vectors.jsonl"))) {
    json vector = json::parse(line);
    Ids ids = tokenizer.encode(vector["text"].get<std::string>());
    EXPECT_EQ(ids, vector["ids"].get<Ids>()) << vector["text"];
    EXPECT_EQ(tokenizer.decode(ids), vector["decoded"].get<std::string>());
    ++count;
  }
  EXPECT_EQ(count, 60);
}

TEST(Vectors, LlamaCpp) {
  QLR_NEED_SHARED(folder, "data/llamacpp_tokvec");
  std::string input = readFile(folder + "/ggml-vocab-qwen2.gguf.inp");
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  for (size_t from = 0; from <= input.size();) {
    size_t to = std::min(input.find(separator, from), input.size());
    texts.push_back(input.substr(from, to - from));
    from = to + separator.size();
  }
  std::vector<std::string> results = lines(readFile(folder + "/ggml-vocab-qwen2.gguf.out"));
  if (texts.size() == results.size() + 1 && texts.back().empty())
    texts.pop_back();
  ASSERT_EQ(texts.size(), results.size());
  EXPECT_GE(texts.size(), 40u);
  for (size_t i = 0; i < texts.size(); ++i) {
    Ids expected;
    std::istringstream stream(results[i]);
    for (uint32_t id; stream >> id;)
      expected.push_back(id);
    EXPECT_EQ(qwen().encode(texts[i]), expected) << "vector " << i << ": " << texts[i];
  }
}

/// Whole files. The published fingerprints are SHA-256 (checked with Python when these were taken); here the count, the
/// first ids, and XXH64 over the same little-endian int32 ids.
TEST(Vectors, WholeFiles) {
  QLR_NEED_SHARED(folder, "data");
  json expected = json::parse(readFile(folder + "/qwen25_tokenizer/corpus_token_hashes.json"));
  struct {
    const char *name, *path, *hash;
  } files[] = {
      {"wikitext2/wiki.test.raw", "wikitext2/wiki.test.raw", "aaebd2f136908146"},
      {"wikitext2/wiki.test.gptq_join.txt", "wikitext2/wiki.test.gptq_join.txt", "f24aba007170041e"},
      {"exllamav3_cal/c4.utf8", "calibration/c4.utf8", "dd298b3bb7237f59"},
      {"exllamav3_cal/wiki.utf8", "calibration/wiki.utf8", "25b9e72a9ed39ba4"},
      {"exllamav3_cal/code.utf8", "calibration/code.utf8", "04d38ad2d5b87c12"},
      {"exllamav3_cal/multilingual.utf8", "calibration/multilingual.utf8", "8aabd912169a0620"},
      {"tinyshakespeare/input.txt", "calibration/books/shakespeare.txt", "e2e99b411a1593f8"},
      {"sentencepiece_text/wagahaiwa_nekodearu.txt", "calibration/books/wagahaiwa_nekodearu.txt", "b31f0eee021bf848"},
  };
  for (const auto &file : files) {
    Ids ids = qwen().encode(readFile(joinPath(folder, file.path)));
    const json &entry = expected.at(file.name);
    EXPECT_EQ(ids.size(), entry["n_tokens"].get<size_t>()) << file.name;
    EXPECT_EQ(Ids(ids.begin(), ids.begin() + 16), entry["first16"].get<Ids>()) << file.name;
    EXPECT_EQ(xxh64Hex(std::as_bytes(std::span(ids))), file.hash) << file.name;
  }
}

TEST(Vectors, ChatPrompts) {
  QLR_NEED_SHARED(folder, "data/qwen25_tokenizer");
  auto chat = ChatTemplate::load(folder);
  ASSERT_TRUE(chat);
  EXPECT_EQ(chat->family(), "Qwen2.5-Instruct");
  int count = 0;
  for (const std::string &line : lines(readFile(folder + "/chat_template_vectors.jsonl"))) {
    json vector = json::parse(line);
    std::vector<ChatMessage> messages;
    for (const json &message : vector["messages"])
      messages.push_back({message["role"], message["content"]});
    std::string text = chat->render(messages, vector["add_generation_prompt"]);
    EXPECT_EQ(text, vector["text"].get<std::string>());
    EXPECT_EQ(qwen().encode(text), vector["ids"].get<Ids>());
    ++count;
  }
  EXPECT_GE(count, 4);
}

TEST(Vectors, LoadsQuickly) {
  QLR_NEED_SHARED(folder, "data/qwen25_tokenizer");
  auto start = std::chrono::steady_clock::now();
  Tokenizer tokenizer = Tokenizer::load(folder);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_LT(seconds, 10.0); // 0.3 s where nothing else runs; this bound only catches a mistake of growth
  EXPECT_EQ(tokenizer.vocabSize(), 151665u);
  std::string text(200'000, 'A');
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

} // namespace
