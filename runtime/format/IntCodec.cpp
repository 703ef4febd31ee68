//===- IntCodec.cpp - symmetric integers: int2, int3, int4, int8, and groups -===//
#include "runtime/format/Codec.h"

namespace qlr {
namespace {

/// 2 to 4 bits: the value is (2q - 2^b + 1) / 2, half-integers without a zero point. 8 bits: q - 128.
class IntCodec final : public Codec {
public:
  IntCodec(std::string name, unsigned width, unsigned columns)
      : Codec(std::move(name)), width(width), columns(columns) {}

  unsigned bits() const override { return width; }
  unsigned group() const override { return columns; }
  unsigned activationBits() const override { return width <= 3 ? 8 : 16; }

  void decodeTile(const uint8_t *tile, const int8_t *, int16_t out[tileWeights]) const override {
    for (unsigned i = 0; i < tileWeights; ++i) {
      int q = static_cast<int>(tileField(tile, width, i));
      out[i] = static_cast<int16_t>(width == 8 ? q - 128 : 2 * q - (1 << width) + 1);
    }
  }

  double unit(double) const override { return width == 8 ? 1.0 : 0.5; }

private:
  unsigned width, columns;
};

} // namespace

void registerIntCodec(const RegisterCodec &add) {
  for (unsigned bits : {2u, 3u, 4u, 8u}) {
    std::string name = "int" + std::to_string(bits);
    add(std::make_unique<IntCodec>(name, bits, 0));
    for (unsigned group : {32u, 64u, 128u})
      add(std::make_unique<IntCodec>(name + "g" + std::to_string(group), bits, group));
  }
}

} // namespace qlr
