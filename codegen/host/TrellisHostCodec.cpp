// Host decoding of the tile trellis: 64 windows at once, then a table look-up in registers.
#include "codegen/host/TileDecoder.h"
#include "dialect/Layout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

class TrellisDecoder : public TileDecoder {
public:
  TrellisDecoder(unsigned bits, unsigned window) : TileDecoder(8 * bits), window(window), windows(bits, window) {}

  void prepare(HostEmitter &e, Value levelTable) override {
    levels = levelTable;
    windows.prepare(e);
    tables.clear();
    const int64_t entries = 1 << window;
    if (e.level == CpuLevel::Avx512) {
      for (int64_t at = 0; at < entries; at += 64)
        tables.push_back(e.load(e.vec(64, e.i8()), e.at(levels, at), 64));
      return;
    }
    // pshufb looks up 16 entries within each half register: every 16 levels, twice, and signed.
    SmallVector<int64_t> twice;
    for (int64_t i = 0; i < 32; ++i)
      twice.push_back(i % 16);
    for (int64_t at = 0; at < entries; at += 16) {
      Value table = e.load(e.vec(16, e.i8()), e.at(levels, at), 16);
      table = arith::XOrIOp::create(e.b, table, e.constI8(SmallVector<int8_t>(16, -128)));
      tables.push_back(e.shuffle(table, table, twice));
    }
  }
  // The table holds level + 128.
  int64_t factor(CpuLevel) const override { return 1; }
  int64_t zero(CpuLevel level) const override { return level == CpuLevel::Avx512 ? 128 : 0; }
  Value unit(HostEmitter &e) override { return e.load(e.f32(), e.at(levels, kLevelUnitOffset), 4); }

protected:
  Value lanes(HostEmitter &e, Value chunk, unsigned index) override {
    Value selected = windows.extract(e, chunk, index);
    return e.level == CpuLevel::Avx512 ? lookUpAvx512(e, selected) : lookUpAvx2(e, selected);
  }

private:
  Value lookUpAvx512(HostEmitter &e, Value index) {
    auto type = e.vec(64, e.i8());
    auto pair = [&](unsigned first) {
      return e.intrinsic("llvm.x86.avx512.vpermi2var.qi.512", type, {tables[first], index, tables[first + 1]});
    };
    // vpermi2b reads 7 index bits; with 256 levels the eighth picks between two of them.
    if (tables.size() == 2)
      return pair(0);
    Value zero = e.constI8(SmallVector<int8_t>(64, 0));
    Value high = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, index, zero);
    return arith::SelectOp::create(e.b, high, pair(2), pair(0));
  }

  Value lookUpAvx2(HostEmitter &e, Value index) {
    auto half = e.vec(32, e.i8());
    SmallVector<Value> halves;
    for (int64_t h = 0; h < 2; ++h) {
      Value part = e.slice(index, 32 * h, 32);
      // pshufb uses the low four bits while bit 7 is clear; the blends below read bit 7 of the shifted index.
      Value low = part;
      if (window == 8)
        low = arith::AndIOp::create(e.b, part, e.constI8(SmallVector<int8_t>(32, 0x7f)));
      SmallVector<Value> found;
      for (Value table : tables)
        found.push_back(e.intrinsic("llvm.x86.avx2.pshuf.b", half, {table, low}));
      for (unsigned bit = 4; found.size() > 1; ++bit) {
        Value mask = part;
        if (bit < 7)
          mask = e.bitcast(arith::ShLIOp::create(e.b, e.bitcast(part, e.vec(16, e.i16())), splatI16(e, 7 - bit)), half);
        SmallVector<Value> next;
        for (unsigned i = 0; i < found.size(); i += 2)
          next.push_back(e.intrinsic("llvm.x86.avx2.pblendvb", half, {found[i], found[i + 1], mask}));
        found = next;
      }
      halves.push_back(found[0]);
    }
    return e.concat(halves[0], halves[1]);
  }

  static Value splatI16(HostEmitter &e, int16_t v) {
    return arith::ConstantOp::create(e.b, DenseElementsAttr::get(e.vec(16, e.i16()), v));
  }

  unsigned window;
  WindowExtractor windows;
  Value levels;
  SmallVector<Value> tables;
};

struct TrellisHostModel : HostCodecInterface::ExternalModel<TrellisHostModel, TrellisCodecAttr> {
  std::unique_ptr<TileDecoder> createTileDecoder(Attribute codec) const {
    auto trellis = cast<TrellisCodecAttr>(codec);
    return std::make_unique<TrellisDecoder>(trellis.getBits(), trellis.getWindow());
  }
};

} // namespace

void registerTrellisHostCodec(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, QlrDialect *) { TrellisCodecAttr::attachInterface<TrellisHostModel>(*context); });
}

} // namespace qlr
