// Host decoding of the tile trellis: 64 windows at once, then a table look-up in registers.
#include "codegen/host/TileDecoder.h"
#include "dialect/Layout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <array>

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
    isOdd = emitIsOdd(e);
  }
  // The table holds level + 128.
  int64_t factor(CpuLevel) const override { return 1; }
  int64_t zero(CpuLevel level) const override { return level == CpuLevel::Avx512 ? 128 : 0; }
  Value unit(HostEmitter &e) override { return e.load(e.f32(), e.at(levels, kLevelUnitOffset), 4); }

protected:
  Value lanes(HostEmitter &e, Value chunk, unsigned index) override {
    Value selected = windows.extract(e, chunk, index);
    if (e.level == CpuLevel::Avx512)
      return lookUpAvx512(e, selected);
    auto yields = [&](Value (TrellisDecoder::*lookUp)(HostEmitter &, Value)) {
      return [&e, this, selected, lookUp](OpBuilder &inner, Location loc) {
        OpBuilder::InsertionGuard guard(e.b);
        e.b.restoreInsertionPoint(inner.saveInsertionPoint());
        scf::YieldOp::create(e.b, (this->*lookUp)(e, selected));
      };
    };
    return scf::IfOp::create(e.b, isOdd, yields(&TrellisDecoder::lookUpOddAvx2), yields(&TrellisDecoder::lookUpAvx2))
        .getResult(0);
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

  /// i1: level[~i] = -level[i] for all i.
  Value emitIsOdd(HostEmitter &e) {
    auto half = e.vec(32, e.i8());
    SmallVector<int64_t> reversed;
    for (int64_t i = 31; i >= 0; --i)
      reversed.push_back(i);
    Value any;
    const int64_t entries = 1 << window;
    for (int64_t at = 0; at < entries / 2; at += 32) {
      Value low = e.load(half, e.at(levels, at), 32), high = e.load(half, e.at(levels, entries - 32 - at), 32);
      Value sum = arith::AddIOp::create(e.b, low, e.shuffle(high, high, reversed));
      any = any ? arith::OrIOp::create(e.b, any, sum).getResult() : sum;
    }
    Value bits = vector::ReductionOp::create(e.b, vector::CombiningKind::OR, e.bitcast(any, e.vec(4, e.i64())));
    return arith::CmpIOp::create(e.b, arith::CmpIPredicate::eq, bits, e.c64(0));
  }

  Value splat(HostEmitter &e, int8_t value) { return e.constI8(SmallVector<int8_t>(32, value)); }

  /// The levels of two vectors of indices below 16 times `count`, from the tables `first`, `first` + 1, ... pshufb
  /// takes the low four bits of an index and gives 0 where bit 7 is set. Subtracting 16 for every table that follows
  /// makes an index negative once its own table is past: the tables up to that one contribute, and since each holds the
  /// difference to the one before, what they add up to (by exclusive or) is the level. Blends by index bits would take
  /// three micro-operations each on current CPUs.
  std::array<Value, 2> lookUpAvx2(HostEmitter &e, std::array<Value, 2> index, unsigned first, unsigned count) {
    std::array<Value, 2> found;
    // Both meet a table one after the other: 16 tables do not stay in registers.
    for (unsigned k = 0; k < count; ++k) {
      std::array<Value, 2> at = index;
      for (Value &i : at)
        i = k ? arith::SubIOp::create(e.b, i, splat(e, 16 * k)).getResult() : i;
      for (unsigned h = 0; h < 2; ++h) {
        Value one = e.intrinsic("llvm.x86.avx2.pshuf.b", e.vec(32, e.i8()), {tables[first + k], at[h]});
        found[h] = k ? arith::XOrIOp::create(e.b, found[h], one).getResult() : one;
      }
    }
    return found;
  }

  /// Any table. Of 256 levels one blend remains, between two times 128.
  Value lookUpAvx2(HostEmitter &e, Value index) {
    std::array<Value, 2> whole = {e.slice(index, 0, 32), e.slice(index, 32, 32)}, low = whole;
    if (tables.size() <= 8) {
      auto found = lookUpAvx2(e, whole, 0, tables.size());
      return e.concat(found[0], found[1]);
    }
    for (Value &i : low)
      i = arith::AndIOp::create(e.b, i, splat(e, 127));
    auto found = lookUpAvx2(e, low, 0, 8), high = lookUpAvx2(e, low, 8, 8);
    for (unsigned h = 0; h < 2; ++h)
      found[h] = e.intrinsic("llvm.x86.avx2.pblendvb", e.vec(32, e.i8()), {found[h], high[h], whole[h]});
    return e.concat(found[0], found[1]);
  }

  /// An odd table, as the compressor's are: the lower half of it, and a sign. With the window's highest bit as the sign
  /// bit of a byte, an index i of the upper half is negative and ~i is its mirror image.
  Value lookUpOddAvx2(HostEmitter &e, Value index) {
    std::array<Value, 2> folded, negative;
    for (unsigned h = 0; h < 2; ++h) {
      Value i = e.slice(index, 32 * h, 32);
      if (window < 8) // the same bits above the window as its highest
        i = arith::SubIOp::create(e.b, arith::XOrIOp::create(e.b, i, splat(e, 1 << (window - 1))),
                                  splat(e, 1 << (window - 1)));
      negative[h] = arith::ExtSIOp::create(e.b, e.vec(32, e.i8()),
                                           arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, i, splat(e, 0)));
      folded[h] = arith::XOrIOp::create(e.b, i, negative[h]);
    }
    auto found = lookUpAvx2(e, folded, 0, tables.size() / 2);
    for (unsigned h = 0; h < 2; ++h)
      found[h] = arith::SubIOp::create(e.b, arith::XOrIOp::create(e.b, found[h], negative[h]), negative[h]);
    return e.concat(found[0], found[1]);
  }

  unsigned window;
  WindowExtractor windows;
  Value levels, isOdd; // isOdd on AVX2 only
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
