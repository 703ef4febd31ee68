//===- LayerCompressor.h - one decoder block, compressed ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compressor/CompressConfig.h"
#include "compressor/LowRank.h"
#include "compressor/Qwen2Block.h"
#include "compressor/Rotation.h"
#include "runtime/format/QuantConfig.h"

#include <functional>

namespace qlr {

/// A tensor of the checkpoint, in memory.
struct StoredTensor {
  std::string name;
  DType type;
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
};

/// Codes and scales of a matrix, as `<name>.codes` and `<name>.scales`.
void store(const Quantized &matrix, const std::string &name, std::vector<StoredTensor> &out);

/// Calibration activations on disk, fp32 [windows][length][width], read and written a few windows at a time.
class Activations {
public:
  Activations(uint64_t windows, uint64_t length) : windows(windows), length(length) {}

  /// Applies `step` to batches of a file's windows; what it returns, where `to` is not empty, becomes that file.
  void map(const std::string &from, uint64_t width, const std::string &to,
           const std::function<at::Tensor(const at::Tensor &)> &step) const;
  uint64_t tokens() const { return windows * length; }
  /// Windows in memory at once.
  uint64_t batch() const;

private:
  uint64_t windows, length;
};

/// Compresses the linears of one block in the order their inputs arise, each with the activations that the modules
/// compressed so far give.
class LayerCompressor {
public:
  struct Context {
    const ModelConfig &model;
    const Checkpoint &source;
    const CompressConfig &config;
    const std::map<std::string, std::string> &sourceHashes; // tensor -> XXH64
    uint64_t seed;
    const Activations &activations;
    /// Told after each module; throws to interrupt.
    std::function<void(const std::string &module)> step;
  };

  LayerCompressor(const Context &context, uint32_t layer);

  /// `hiddenIn` are the hidden states that enter the block, `hiddenOut` becomes those that leave it, `scratch` is a
  /// file to use in between.
  void run(const std::string &hiddenIn, const std::string &hiddenOut, const std::string &scratch);

  const std::vector<StoredTensor> &tensors() const { return stored; }
  const std::map<std::string, ModuleQuant> &modules() const { return quants; }

private:
  /// Compresses all modules fed by `input`, whose activations `x` makes of the windows of file `from`.
  void compressInput(const std::string &input, const std::string &from,
                     const std::function<at::Tensor(const at::Tensor &)> &x);
  void compressModule(const LinearModule &module, const Metric &metric, const Rotation *rotation);

  const Context &context;
  std::vector<LinearModule> linears;
  Qwen2Block block;
  std::vector<StoredTensor> stored;
  std::map<std::string, ModuleQuant> quants;
};

} // namespace qlr
