//===- Checkpoint.h - all tensors of a model directory --------------------===//
#pragma once

#include "runtime/format/Safetensors.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qlr {

/// `model.safetensors`, or the shards of `model.safetensors.index.json`: one name space of tensors.
class Checkpoint {
public:
  /// Throws Error when there are no weights, a shard is missing, or the index and the shards disagree.
  static Checkpoint open(const std::string &dir);

  const std::string &directory() const { return dir; }
  bool has(const std::string &tensor) const { return where.count(tensor) != 0; }
  /// Throws Error naming the directory and the tensor when it is absent.
  const TensorInfo &info(const std::string &tensor) const;
  std::span<const std::byte> data(const std::string &tensor) const;
  /// The file that holds a tensor.
  const SafetensorsFile &file(const std::string &tensor) const;
  /// info() after checking dtype and shape.
  const TensorInfo &require(const std::string &tensor, DType dtype, const std::vector<uint64_t> &shape) const;
  /// A `__metadata__` value; throws when two shards disagree about it.
  std::optional<std::string> metadata(const std::string &key) const;
  /// All names, sorted.
  std::vector<std::string> names() const;
  const std::vector<SafetensorsFile> &files() const { return shards; }

  /// The tensor as f32: F32, F16 and BF16 only.
  std::vector<float> floats(const std::string &tensor) const;

private:
  std::string dir;
  std::vector<SafetensorsFile> shards;
  std::map<std::string, size_t> where; // tensor -> shard
};

} // namespace qlr
