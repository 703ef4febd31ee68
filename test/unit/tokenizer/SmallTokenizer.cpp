#include "test/unit/tokenizer/SmallTokenizer.h"
#include "runtime/tokenizer/Bpe.h"
#include "runtime/tokenizer/Utf8.h"

namespace qlr::test {

using nlohmann::json;

const char *const qwenPattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
                                "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

std::string inAlphabet(const std::string &bytes) {
  std::string text;
  for (char byte : bytes)
    appendUtf8(text, byteAlphabet()[static_cast<unsigned char>(byte)]);
  return text;
}

json smallTokenizer(const std::vector<std::pair<std::string, std::string>> &merges, MergeLayout layout) {
  json vocabulary, list = json::array();
  for (int b = 0; b < 256; ++b)
    vocabulary[inAlphabet(std::string(1, static_cast<char>(b)))] = b;
  size_t next = 256;
  for (const auto &[left, right] : merges) {
    std::string a = inAlphabet(left), b = inAlphabet(right);
    vocabulary[a + b] = next++;
    list.push_back(layout == MergeLayout::Strings ? json(a + " " + b) : json({a, b}));
  }
  auto added = [&](const char *content, bool special) {
    return json{{"id", next++},    {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", special}};
  };
  json tokens = json::array();
  tokens.push_back(added("<|end|>", true));
  tokens.push_back(added("<tool>", false));
  json byteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  json split = {{"type", "Split"}, {"pattern", {{"Regex", qwenPattern}}}, {"behavior", "Isolated"}, {"invert", false}};
  json model = {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"vocab", vocabulary}, {"merges", list}};
  if (layout == MergeLayout::Pairs)
    model["ignore_merges"] = false;
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", tokens},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array({split, byteLevel})}}},
          {"post_processor", byteLevel},
          {"decoder", byteLevel},
          {"model", model}};
}

} // namespace qlr::test
