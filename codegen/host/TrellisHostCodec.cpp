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
    // pshufb looks up 16 entries within each half register: every 16 levels, twice, and signed. Of every 16 but the
    // first of 128, what they differ in from the 16 before (see lookUpAvx2).
    SmallVector<int64_t> twice;
    for (int64_t i = 0; i < 32; ++i)
      twice.push_back(i % 16);
    Value before;
    for (int64_t at = 0; at < entries; at += 16) {
      Value table = e.load(e.vec(16, e.i8()), e.at(levels, at), 16);
      table = arith::XOrIOp::create(e.b, table, e.constI8(SmallVector<int8_t>(16, -128)));
      Value entry = at % 128 ? arith::XOrIOp::create(e.b, table, before).getResult() : table;
      tables.push_back(e.shuffle(entry, entry, twice));
      before = table;
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

  /// pshufb takes the low four bits of an index and gives 0 where bit 7 is set. Subtracting 16 for every table that
  /// follows makes an index negative once its own table is past: the tables up to that one contribute, and since each
  /// holds the difference to the one before, what they add up to (by exclusive or) is the level. Blends by index bits
  /// would take three micro-operations each on current CPUs; one remains where 256 levels are two times 128.
  Value lookUpAvx2(HostEmitter &e, Value index) {
    auto half = e.vec(32, e.i8());
    auto splat = [&](int8_t value) { return e.constI8(SmallVector<int8_t>(32, value)); };
    const unsigned rounds = tables.size() / 8;
    Value parts[2], found[2][2] = {};
    for (int64_t h = 0; h < 2; ++h) {
      parts[h] = e.slice(index, 32 * h, 32);
      if (rounds == 2)
        parts[h] = arith::AndIOp::create(e.b, parts[h], splat(127));
    }
    // Both halves meet a table one after the other: 16 tables do not stay in registers.
    for (unsigned k = 0; k < 8; ++k) {
      Value at[2];
      for (unsigned h = 0; h < 2; ++h)
        at[h] = k ? arith::SubIOp::create(e.b, parts[h], splat(16 * k)).getResult() : parts[h];
      for (unsigned r = 0; r < rounds; ++r)
        for (unsigned h = 0; h < 2; ++h) {
          Value one = e.intrinsic("llvm.x86.avx2.pshuf.b", half, {tables[8 * r + k], at[h]});
          found[h][r] = k ? arith::XOrIOp::create(e.b, found[h][r], one).getResult() : one;
        }
    }
    if (rounds == 2)
      for (int64_t h = 0; h < 2; ++h)
        found[h][0] =
            e.intrinsic("llvm.x86.avx2.pblendvb", half, {found[h][0], found[h][1], e.slice(index, 32 * h, 32)});
    return e.concat(found[0][0], found[1][0]);
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
