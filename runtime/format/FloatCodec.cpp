//===- FloatCodec.cpp - passthrough: bf16 and f32 in plain rows -----------===//
#include "runtime/format/Codec.h"
#include "runtime/format/Error.h"

namespace qlr {
namespace {

class FloatCodec final : public Codec {
public:
  FloatCodec(std::string name, unsigned width) : Codec(std::move(name)), width(width) {}

  unsigned bits() const override { return width; }
  bool isFloat() const override { return true; }
  unsigned activationBits() const override { return 0; }
  unsigned tileBytes() const override { return 0; }

  void decodeTile(const uint8_t *, const int8_t *, int16_t *) const override {
    fail({.found = "tiles of codec " + name(), .expected = "plain rows: float codecs have no tiles"});
  }
  double unit(double) const override { return 1.0; }

private:
  unsigned width;
};

} // namespace

void registerFloatCodec(const RegisterCodec &add) {
  add(std::make_unique<FloatCodec>("bf16", 16));
  add(std::make_unique<FloatCodec>("f32", 32));
}

} // namespace qlr
