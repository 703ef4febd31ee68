// Host decoding of the integer codecs.
#include "codegen/host/TileDecoder.h"
#include "dialect/Qlr.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

/// 2 to 4 bits: decodeTile's integer is 2q - (2^b - 1), half a unit each.
class PackedIntDecoder : public TileDecoder {
public:
  explicit PackedIntDecoder(unsigned bits) : TileDecoder(8 * bits), bits(bits), windows(bits, bits) {}

  void prepare(HostEmitter &e, Value) override { windows.prepare(e); }
  int64_t factor(CpuLevel level) const override { return level == CpuLevel::Avx512 ? 2 : 1; }
  int64_t zero(CpuLevel level) const override { return level == CpuLevel::Avx512 ? (1 << bits) - 1 : 0; }
  Value unit(HostEmitter &e) override { return e.cf32(0.5f); }

protected:
  Value lanes(HostEmitter &e, Value chunk, unsigned index) override {
    auto splat = [&](int8_t v) { return e.constI8(SmallVector<int8_t>(64, v)); };
    Value q = windows.extract(e, chunk, index);
    if (e.level == CpuLevel::Avx512)
      return arith::AndIOp::create(e.b, q, splat((1 << bits) - 1));
    return arith::SubIOp::create(e.b, arith::AddIOp::create(e.b, q, q), splat((1 << bits) - 1));
  }

private:
  unsigned bits;
  WindowExtractor windows;
};

/// 8 bits: the bytes are the lanes, q - 128.
class ByteDecoder : public TileDecoder {
public:
  ByteDecoder() : TileDecoder(64) {}

  void prepare(HostEmitter &, Value) override {}
  int64_t factor(CpuLevel) const override { return 1; }
  int64_t zero(CpuLevel level) const override { return level == CpuLevel::Avx512 ? 128 : 0; }
  Value unit(HostEmitter &e) override { return e.cf32(1.0f); }

protected:
  Value lanes(HostEmitter &e, Value chunk, unsigned) override {
    if (e.level == CpuLevel::Avx512)
      return chunk;
    return arith::XOrIOp::create(e.b, chunk, e.constI8(SmallVector<int8_t>(64, -128)));
  }
};

struct IntHostModel : HostCodecInterface::ExternalModel<IntHostModel, IntCodecAttr> {
  std::unique_ptr<TileDecoder> createTileDecoder(Attribute codec) const {
    unsigned bits = cast<IntCodecAttr>(codec).getBits();
    if (bits == 8)
      return std::make_unique<ByteDecoder>();
    return std::make_unique<PackedIntDecoder>(bits);
  }
};

} // namespace

void registerIntHostCodec(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, QlrDialect *) { IntCodecAttr::attachInterface<IntHostModel>(*context); });
}

} // namespace qlr
