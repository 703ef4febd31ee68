//===- GenerationConfig.h - generation_config.json ------------------------===//
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qlr {

/// How the next token is chosen. The defaults are greedy.
struct SamplingOptions {
  /// 0 = greedy.
  double temperature = 0;
  /// 0 = no limit.
  uint32_t topK = 0;
  double topP = 1;
  double minP = 0;
  double repetitionPenalty = 1;
  uint64_t seed = 0;

  bool operator==(const SamplingOptions &) const = default;
};

/// The model's own defaults.
struct GenerationConfig {
  SamplingOptions sampling;
  /// `eos_token_id`: a number or a list.
  std::vector<uint32_t> eosIds;

  /// DIR/generation_config.json; without the file: greedy, no end tokens.
  static GenerationConfig load(const std::string &dir);
  static GenerationConfig parse(std::string_view text, const std::string &path);
};

} // namespace qlr
