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

/// A file of calibration activations, fp32 [windows][length][width].
struct ActivationFile {
  std::string path;
  uint64_t width = 0;
};

/// Reads and writes activations a few windows at a time.
class Activations {
public:
  using Batch = std::vector<at::Tensor>;

  Activations(uint64_t windows, uint64_t length) : windows(windows), length(length) {}

  /// Applies `step` to the same few windows of all files `from` at a time; what it returns becomes the files `to`.
  void map(const std::vector<ActivationFile> &from, const std::vector<ActivationFile> &to,
           const std::function<Batch(const Batch &)> &step) const;
  uint64_t tokens() const { return windows * length; }

private:
  uint64_t windows, length;
};

/// Two streams of hidden states: of the original model, and of the model compressed so far.
struct HiddenFiles {
  std::string original, compressed;
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

  /// `in` are the hidden states that enter the block, `out` becomes those that leave it. Files named `scratch`… are
  /// used in between.
  void run(const HiddenFiles &in, const HiddenFiles &out, const std::string &scratch);

  const std::vector<StoredTensor> &tensors() const { return stored; }
  const std::map<std::string, ModuleQuant> &modules() const { return quants; }

private:
  /// What the activations of one input say about its modules.
  struct Input {
    Rotation rotation;
    std::optional<Metric> metric;
    /// What W x of the original model is, seen from the compressed model's x: W + W drift is the target for W.
    at::Tensor drift;
    /// What the residual stream lacks, as a matrix on x; undefined for modules that do not add to it.
    at::Tensor lack;
  };
  using Part = std::function<at::Tensor(const Qwen2Block &, const at::Tensor &hidden)>;

  /// Compresses all modules fed by `input`, which `x` makes of the hidden states in `from`. Where `keep` is named, x
  /// goes there, and the modules' outputs are going to be added to these hidden states.
  void compressInput(const std::string &input, const HiddenFiles &from, const Part &x, const HiddenFiles *keep);
  void describeInput(Input &input, const std::string &name, const Moment &moment, const Moment &drift,
                     const Moment *lack);
  void compressModule(const LinearModule &module, const Input &input);
  /// The hidden states after a sum: `step` of those before and x.
  using Sum = std::function<at::Tensor(const Qwen2Block &, const at::Tensor &hidden, const at::Tensor &x)>;
  void advance(const HiddenFiles &hidden, const HiddenFiles &x, uint64_t width, const HiddenFiles &to,
               const Sum &sum) const;

  const Context &context;
  std::vector<LinearModule> linears;
  Qwen2Block block;    // weights as compressed so far
  Qwen2Block original; // shares what is not compressed yet
  std::vector<StoredTensor> stored;
  std::map<std::string, ModuleQuant> quants;
};

} // namespace qlr
