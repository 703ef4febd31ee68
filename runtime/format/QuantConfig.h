//===- QuantConfig.h - quantization_config of a compressed checkpoint -----===//
#pragma once

#include "runtime/format/ModelConfig.h"

#include <array>
#include <map>

namespace qlr {

/// How one module is stored.
struct ModuleQuant {
  std::string codec;
  std::array<uint64_t, 2> shape = {0, 0};
  uint32_t rank = 0;
  /// Codec of the low-rank factors; meaningful when rank > 0.
  std::string factors;
  /// Block of the input's rotation; 0 = not rotated.
  uint32_t rotation = 0;
  /// Name of the rotated input (its `.signs`); empty when not rotated.
  std::string input;
  std::string sourceHash;
  std::optional<double> correlation;
  std::optional<double> error;

  bool operator==(const ModuleQuant &) const = default;
};

struct QuantConfig {
  uint32_t version = 1;
  uint64_t seed = 0;
  /// 128 (blocks of the largest power of two up to 128 that divides the width) or 0.
  uint32_t rotation = 0;
  /// "ldlq" or "none".
  std::string feedback;
  std::string configurationHash;
  std::string calibrationHash;
  uint64_t calibrationWindows = 0;
  uint64_t calibrationLength = 0;
  std::map<std::string, ModuleQuant> modules;
  /// XXH64 (hex) of each packed tensor's bytes.
  std::map<std::string, std::string> tensors;

  /// From `quantization_config` of DIR/config.json; nothing when there is none. Another `quant_method`, unknown codecs,
  /// modules the model does not have and wrong shapes are refused by name.
  static std::optional<QuantConfig> load(const std::string &dir);
  static std::optional<QuantConfig> fromConfig(const ModelConfig &config);
  /// The value of `quantization_config`.
  nlohmann::json toJson() const;
  /// Null when the module is stored as in the original.
  const ModuleQuant *find(const std::string &module) const;
};

/// The rotation's block for inputs of `columns`: the largest power of two <= limit that divides it.
uint32_t rotationBlock(uint64_t columns, uint32_t limit = 128);

} // namespace qlr
