#include "compressor/Qwen2Block.h"

#include <ATen/ATen.h>
#include <cstring>

using namespace qlr;

at::Tensor qlr::loadFloats(const Checkpoint &source, const std::string &tensor) {
  const TensorInfo &info = source.info(tensor);
  std::vector<float> values = source.floats(tensor);
  std::vector<int64_t> shape(info.shape.begin(), info.shape.end());
  at::Tensor result = at::empty(shape, at::kFloat);
  std::memcpy(result.data_ptr(), values.data(), values.size() * sizeof(float));
  return result;
}

static at::Tensor rmsNorm(const at::Tensor &x, const at::Tensor &weight, double eps) {
  return x * (x.square().mean(-1, true) + eps).rsqrt() * weight;
}

Qwen2Block::Qwen2Block(const ModelConfig &config, const Checkpoint &source, uint32_t layer)
    : config(config), prefix("model.layers." + std::to_string(layer) + ".") {
  for (const LinearModule &module : layerModules(config, layer)) {
    weights[module.name] = loadFloats(source, module.name + ".weight");
    if (module.bias)
      biases[module.name] = loadFloats(source, module.name + ".bias");
  }
  attentionNorm = loadFloats(source, prefix + "input_layernorm.weight");
  mlpNorm = loadFloats(source, prefix + "post_attention_layernorm.weight");
}

at::Tensor Qwen2Block::linear(const std::string &module, const at::Tensor &x) const {
  auto bias = biases.find(prefix + module);
  return at::linear(x, weights.at(prefix + module),
                    bias == biases.end() ? std::optional<at::Tensor>() : std::optional<at::Tensor>(bias->second));
}

at::Tensor Qwen2Block::attentionIn(const at::Tensor &hidden) const {
  return rmsNorm(hidden, attentionNorm, config.rmsEps);
}

/// Rotary position embedding of [windows, heads, length, head dimension], positions 0 ... length-1.
at::Tensor Qwen2Block::rotate(const at::Tensor &x) const {
  int64_t length = x.size(2), half = config.headDim / 2;
  at::Tensor frequency = at::pow(config.ropeTheta, -at::arange(half, at::kDouble) / double(half));
  at::Tensor angle = at::outer(at::arange(length, at::kDouble), frequency);
  at::Tensor cos = angle.cos().to(at::kFloat), sin = angle.sin().to(at::kFloat);
  at::Tensor a = x.slice(3, 0, half), b = x.slice(3, half);
  return at::cat({a * cos - b * sin, b * cos + a * sin}, 3);
}

at::Tensor Qwen2Block::attentionOut(const at::Tensor &x) const {
  int64_t windows = x.size(0), length = x.size(1), dim = config.headDim;
  auto heads = [&](const std::string &module, int64_t count) {
    return linear(module, x).reshape({windows, length, count, dim}).transpose(1, 2).contiguous();
  };
  at::Tensor q = rotate(heads("self_attn.q_proj", config.heads)), k = rotate(heads("self_attn.k_proj", config.kvHeads)),
             v = heads("self_attn.v_proj", config.kvHeads);
  int64_t shared = config.heads / config.kvHeads;
  k = k.repeat_interleave(shared, 1);
  v = v.repeat_interleave(shared, 1);
  at::Tensor scores = q.matmul(k.transpose(2, 3)) / std::sqrt(double(dim));
  at::Tensor future = at::ones({length, length}, at::kBool).triu(1);
  scores.masked_fill_(future, -std::numeric_limits<float>::infinity());
  return scores.softmax(-1).matmul(v).transpose(1, 2).reshape({windows, length, config.heads * dim});
}

at::Tensor Qwen2Block::afterAttention(const at::Tensor &hidden, const at::Tensor &x) const {
  return hidden + linear("self_attn.o_proj", x);
}

at::Tensor Qwen2Block::mlpIn(const at::Tensor &hidden) const { return rmsNorm(hidden, mlpNorm, config.rmsEps); }

at::Tensor Qwen2Block::mlpOut(const at::Tensor &x) const {
  return at::silu(linear("mlp.gate_proj", x)) * linear("mlp.up_proj", x);
}

at::Tensor Qwen2Block::afterMlp(const at::Tensor &hidden, const at::Tensor &x) const {
  return hidden + linear("mlp.down_proj", x);
}

at::Tensor Qwen2Block::forward(const at::Tensor &hidden) const {
  at::Tensor middle = afterAttention(hidden, attentionOut(attentionIn(hidden)));
  return afterMlp(middle, mlpOut(mlpIn(middle)));
}
