//===- TrellisCodec.cpp - the tile trellis: trellis2, 3, 4 (window 7), ...w8 -===//
#include "runtime/format/Codec.h"

namespace qlr {
namespace {

/// Weight i is level[bits b*i+b-L .. b*i+b-1 of the tile, indices modulo 64*b, the first the least significant].
class TrellisCodec final : public Codec {
public:
  TrellisCodec(std::string name, unsigned width, unsigned length)
      : Codec(std::move(name)), width(width), length(length) {}

  unsigned bits() const override { return width; }
  unsigned window() const override { return length; }
  unsigned levelCount() const override { return 1u << length; }
  unsigned activationBits() const override { return width <= 3 ? 8 : 16; }

  void decodeTile(const uint8_t *tile, const int8_t *levels, int16_t out[tileWeights]) const override {
    unsigned total = tileWeights * width;
    for (unsigned i = 0; i < tileWeights; ++i) {
      unsigned index = 0;
      for (unsigned k = 0; k < length; ++k)
        index |= tileBit(tile, (width * i + width + total - length + k) % total) << k;
      out[i] = levels[index];
    }
  }

  double unit(double levelUnit) const override { return levelUnit; }

private:
  unsigned width, length;
};

} // namespace

void registerTrellisCodec(const RegisterCodec &add) {
  for (unsigned bits : {2u, 3u, 4u}) {
    std::string name = "trellis" + std::to_string(bits);
    add(std::make_unique<TrellisCodec>(name, bits, 7));
    add(std::make_unique<TrellisCodec>(name + "w8", bits, 8));
  }
}

} // namespace qlr
