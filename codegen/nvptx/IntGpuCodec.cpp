// GPU decoding of symmetric integers: 4 and 8 bits by byte arithmetic, 2 and 3 bits by the trellis's tables with a
// window that is the code itself.
#include "codegen/nvptx/GpuTileDecoder.h"

using namespace mlir;

namespace qlr {
namespace {

/// Codes of 2 and 3 bits stand for 2q - 2^bits + 1, in units of one half.
class SmallIntDecoder : public GpuLutDecoder {
public:
  SmallIntDecoder(unsigned bits, unsigned weights) : GpuLutDecoder(bits, bits, weights, 1) {}
  Value unit(GpuEmitter &e) override { return e.cf32(0.5); }
  Value levelOf(GpuEmitter &e, Value code) override { return e.add(e.mul(code, 2), 1 - (1 << bits)); }
};

/// Base of the decoders without tables: bytes first, halves made of them.
class ByteDecoder : public GpuTileDecoder {
public:
  explicit ByteDecoder(unsigned bits) : GpuTileDecoder(bits, bits) {}

  SmallVector<Value> rows(GpuEmitter &e, ArrayRef<Value> words, TileForm form) override {
    SmallVector<Value> bytes = byteRows(e, words), halves;
    if (form == TileForm::Bytes)
      return bytes;
    for (Value row : bytes) {
      auto [first, second] = bytesToHalves(e, row);
      halves.push_back(first);
      halves.push_back(second);
    }
    return halves;
  }

protected:
  virtual SmallVector<Value> byteRows(GpuEmitter &e, ArrayRef<Value> words) = 0;
};

class Int4Decoder : public ByteDecoder {
public:
  Int4Decoder() : ByteDecoder(4) {}
  Value unit(GpuEmitter &e) override { return e.cf32(0.5); }
  Value levelOf(GpuEmitter &e, Value code) override { return e.add(e.mul(code, 2), -15); }

protected:
  SmallVector<Value> byteRows(GpuEmitter &e, ArrayRef<Value> words) override {
    SmallVector<Value> result;
    for (Value word : words) {
      // 2q - 15 as bytes: 2q + 0x71 never carries into the next byte, and flipping bit 7 takes 128 off.
      auto levels = [&](Value nibbles) { return e.xori(e.add(e.shl(nibbles, 1), 0x71717171), 0x80808080); };
      Value even = levels(e.andi(word, 0x0f0f0f0f)), odd = levels(e.andi(e.shr(word, 4), 0x0f0f0f0f));
      result.push_back(e.prmt(even, odd, 0x5140));
      result.push_back(e.prmt(even, odd, 0x7362));
    }
    return result;
  }
};

class Int8Decoder : public ByteDecoder {
public:
  Int8Decoder() : ByteDecoder(8) {}
  Value unit(GpuEmitter &e) override { return e.cf32(1); }
  Value levelOf(GpuEmitter &e, Value code) override { return e.add(code, -128); }

protected:
  SmallVector<Value> byteRows(GpuEmitter &e, ArrayRef<Value> words) override {
    SmallVector<Value> result;
    for (Value word : words)
      result.push_back(e.xori(word, 0x80808080));
    return result;
  }
};

struct IntModel : GpuCodecInterface::ExternalModel<IntModel, IntCodecAttr> {
  std::unique_ptr<GpuTileDecoder> createGpuTileDecoder(Attribute attr, StringRef decode) const {
    const unsigned bits = cast<IntCodecAttr>(attr).getBits();
    if (decode.empty())
      decode = bits == 2 ? "lut4" : bits == 3 ? "lut2" : "alu";
    if (decode == "alu" && bits == 4)
      return std::make_unique<Int4Decoder>();
    if (decode == "alu" && bits == 8)
      return std::make_unique<Int8Decoder>();
    if (decode == "lut4" && bits <= 3)
      return std::make_unique<SmallIntDecoder>(bits, 4);
    if (decode == "lut2" && bits <= 3)
      return std::make_unique<SmallIntDecoder>(bits, 2);
    return nullptr;
  }
};

} // namespace

void registerIntGpuCodec(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, QlrDialect *) { IntCodecAttr::attachInterface<IntModel>(*context); });
}

} // namespace qlr
