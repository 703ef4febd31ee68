//===- SmallTokenizer.h - tokenizer files made by the tests ---------------===//
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace qlr::test {

/// The split pattern of Qwen2.
extern const char *const qwenPattern;

/// `bytes` in the alphabet of byte-level tokenizers.
std::string inAlphabet(const std::string &bytes);

enum class MergeLayout { Strings, Pairs };

/// tokenizer.json with the 256 bytes as ids 0 to 255, one token for each merge after them, then the added tokens
/// <|end|> (special) and <tool> (not special).
nlohmann::json smallTokenizer(const std::vector<std::pair<std::string, std::string>> &merges, MergeLayout layout);

} // namespace qlr::test
