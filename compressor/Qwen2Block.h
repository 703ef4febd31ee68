//===- Qwen2Block.h - the forward pass of one decoder block ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Checkpoint.h"
#include "runtime/format/ModelConfig.h"

#include <ATen/core/Tensor.h>
#include <map>

namespace qlr {

/// One tensor of a checkpoint as fp32.
at::Tensor loadFloats(const Checkpoint &source, const std::string &tensor);

/// A decoder block in fp32, cut at the four inputs of its linears, so that a part can run with the weights compressed
/// so far. Hidden states are [windows, length, hidden].
class Qwen2Block {
public:
  Qwen2Block(const ModelConfig &config, const Checkpoint &source, uint32_t layer);

  /// x of q, k and v.
  at::Tensor attentionIn(const at::Tensor &hidden) const;
  /// x of o, from that of q, k and v.
  at::Tensor attentionOut(const at::Tensor &x) const;
  /// The hidden states after attention, from those before and the x of o.
  at::Tensor afterAttention(const at::Tensor &hidden, const at::Tensor &x) const;
  /// x of gate and up.
  at::Tensor mlpIn(const at::Tensor &hidden) const;
  /// x of down, from that of gate and up.
  at::Tensor mlpOut(const at::Tensor &x) const;
  /// The hidden states after the block, from those after attention and the x of down.
  at::Tensor afterMlp(const at::Tensor &hidden, const at::Tensor &x) const;
  /// All of it.
  at::Tensor forward(const at::Tensor &hidden) const;

  /// [rows, columns] by module name; assigned to when the module has been compressed.
  at::Tensor &weight(const std::string &module) { return weights.at(module); }

private:
  at::Tensor linear(const std::string &module, const at::Tensor &x) const;
  at::Tensor rotate(const at::Tensor &x) const;

  const ModelConfig &config;
  std::string prefix;
  std::map<std::string, at::Tensor> weights, biases;
  at::Tensor attentionNorm, mlpNorm;
};

} // namespace qlr
