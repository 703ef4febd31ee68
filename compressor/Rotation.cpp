#include "compressor/Rotation.h"

#include "compressor/Random.h"
#include "runtime/format/QuantConfig.h"

#include <ATen/ATen.h>
#include <bit>

using namespace qlr;

Rotation::Rotation(uint64_t seed, const std::string &input, uint64_t columns, uint32_t limit) {
  if (limit == 0)
    return;
  h = rotationBlock(columns, limit);
  Random random(seed, input);
  packed.assign((columns + 7) / 8, 0);
  signs = at::ones({static_cast<int64_t>(columns)}, at::kDouble);
  double *sign = signs.data_ptr<double>();
  for (uint64_t i = 0; i < columns; ++i)
    if (random.next() >> 63) {
      sign[i] = -1;
      packed[i / 8] |= static_cast<uint8_t>(1u << (i % 8));
    }
  hadamard = at::empty({h, h}, at::kDouble);
  double *entry = hadamard.data_ptr<double>();
  for (uint32_t i = 0; i < h; ++i)
    for (uint32_t j = 0; j < h; ++j)
      entry[i * h + j] = (std::popcount(i & j) % 2 ? -1.0 : 1.0) / std::sqrt(double(h));
}

at::Tensor Rotation::mix(const at::Tensor &x) const {
  std::vector<int64_t> blocks = x.sizes().vec();
  blocks.back() /= h;
  blocks.push_back(h);
  return x.reshape(blocks).matmul(hadamard.to(x.scalar_type())).reshape(x.sizes());
}

at::Tensor Rotation::apply(const at::Tensor &x) const { return h ? mix(x * signs.to(x.scalar_type())) : x; }

at::Tensor Rotation::undo(const at::Tensor &x) const { return h ? mix(x) * signs.to(x.scalar_type()) : x; }

at::Tensor Rotation::applyToMoment(const at::Tensor &moment) const {
  return h ? apply(apply(moment).t().contiguous()).t().contiguous() : moment;
}
