//===- CompressConfig.h - what each module is compressed to ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Codec.h"
#include "runtime/format/ModelConfig.h"

#include <map>
#include <optional>

namespace qlr {

/// How one module is to be stored.
struct ModuleConfig {
  const Codec *codec = nullptr;
  uint32_t rank = 0;
  const Codec *factors = nullptr;
};

/// The settings of a compression, resolved for one model. A configuration file is one JSON object:
///
///   {"codec": "trellis2", "rank": 32, "factors": "int4",                     defaults of the decoder's linears
///    "rotation": 128, "feedback": "ldlq",                                    or 0, "none": for comparisons
///    "pattern_overrides": [{"pattern": "*.down_proj", "codec": "trellis3"}], globs over module names, later ones win
///    "layer_overrides": {"0": {"codec": "int4", "rank": 0}},                 by layer number
///    "lm_head": {"codec": "bf16"}, "model.layers.1.mlp.up_proj": {...}}      exact names
///
/// Each step overrides the one before. Embedding and head are int8 unless a pattern or their name says otherwise.
struct CompressConfig {
  uint32_t rotation = 128;
  bool feedback = true;
  /// Every linear of the decoder, `model.embed_tokens`, and `lm_head` where it is not tied.
  std::map<std::string, ModuleConfig> modules;

  /// What flags set over the file's defaults.
  struct Flags {
    std::optional<std::string> codec, factors;
    std::optional<uint32_t> rank;
  };

  /// `path` may be empty: no file. Throws Error that names file, key, what was found and what was expected; so it does
  /// for patterns and names that no module of the model has.
  static CompressConfig load(const std::string &path, const Flags &flags, const ModelConfig &model);

  /// Everything that changes the result, for fingerprints.
  nlohmann::json toJson() const;
};

} // namespace qlr
