#include "compressor/FloatEncoder.h"

#include "compressor/Encoder.h"
#include "runtime/format/Half.h"

#include <cstring>

namespace qlr {

DType floatCodecType(const Codec &codec) { return codec.bits() == 16 ? DType::BF16 : DType::F32; }

std::vector<std::byte> encodeFloats(const Codec &codec, const Checkpoint &source, const std::string &tensor) {
  DType type = floatCodecType(codec);
  if (source.info(tensor).dtype == type) {
    std::span<const std::byte> bytes = source.data(tensor);
    return {bytes.begin(), bytes.end()};
  }
  std::vector<float> values = source.floats(tensor);
  std::vector<std::byte> out(values.size() * dtypeSize(type));
  if (type == DType::F32)
    std::memcpy(out.data(), values.data(), out.size());
  else
    for (size_t i = 0; i < values.size(); ++i) {
      uint16_t half = f32ToBf16(values[i]);
      std::memcpy(out.data() + 2 * i, &half, 2);
    }
  return out;
}

/// Floats have no tiles.
std::unique_ptr<Encoder> makeFloatEncoder(const Codec &) { return nullptr; }

} // namespace qlr
