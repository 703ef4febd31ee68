//===- ModelConfig.h - config.json of a Qwen2 model -----------------------===//
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace qlr {

/// What of config.json matters, checked and consistent. Both generations are read (`rope_theta` and `torch_dtype`, or
/// transformers 5's `rope_parameters` and `dtype`); what is not supported is refused by name.
struct ModelConfig {
  uint32_t vocabSize = 0;
  uint32_t hiddenSize = 0;
  uint32_t intermediateSize = 0;
  uint32_t layers = 0;
  uint32_t heads = 0;
  uint32_t kvHeads = 0;
  uint32_t headDim = 0;
  uint32_t maxPositions = 0;
  double ropeTheta = 0;
  double rmsEps = 0;
  bool tiedHead = false;
  /// `eos_token_id`: a number, a list, or none.
  std::vector<uint32_t> eosIds;
  std::optional<uint32_t> bosId;
  /// `torch_dtype` or `dtype`; empty when absent.
  std::string dtype;
  /// The whole file.
  nlohmann::json raw;
  /// Where it was read from, for messages.
  std::string path;

  static ModelConfig load(const std::string &dir);
  static ModelConfig parse(std::string_view text, const std::string &path);

  uint32_t qRows() const { return heads * headDim; }
  uint32_t kvRows() const { return kvHeads * headDim; }
};

/// One linear of the model.
struct LinearModule {
  std::string name;  // model.layers.0.self_attn.q_proj
  uint64_t rows = 0; // outputs
  uint64_t columns = 0;
  bool bias = false;
  std::string input; // model.layers.0.attn_in; empty for lm_head
};

/// The linears of one decoder layer, in the order q, k, v, o, gate, up, down.
std::vector<LinearModule> layerModules(const ModelConfig &config, uint32_t layer);

} // namespace qlr
