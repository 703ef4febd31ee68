// Integer products of tiles and activations: sums are exact within a block of 128 columns (or a group), then scaled and
// added in fp32 in column order, so every CPU level gives the same bits.
#include "codegen/host/TileMatmul.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

/// The columns whose integer sum is exact before it is scaled: a group, or a block of the activations.
struct Unit {
  int64_t columns, tiles;
};

Unit unitOf(const TileMatrix &matrix) {
  int64_t columns = matrix.group && matrix.group < 128 ? matrix.group : 128;
  return {columns, columns / 4};
}

/// Four activations of one token, ready to meet tiles.
struct Quad {
  Value signedBytes, magnitude; // vector<64xi8>; the magnitude on AVX2 only
};

Quad loadQuad(HostEmitter &e, Value address) {
  auto bytes = e.vec(64, e.i8());
  if (e.level == CpuLevel::Avx512)
    return {e.bitcast(e.broadcast(e.load(e.i32(), address, 4), e.vecI32()), bytes), nullptr};
  auto half = e.vec(32, e.i8());
  Value four = e.bitcast(e.broadcast(e.load(e.i32(), address, 4), e.vec(8, e.i32())), half);
  Value isNegative = arith::CmpIOp::create(e.b, arith::CmpIPredicate::slt, four, e.constI8(SmallVector<int8_t>(32, 0)));
  Value negated = arith::SubIOp::create(e.b, e.constI8(SmallVector<int8_t>(32, 0)), four);
  return {four, arith::SelectOp::create(e.b, isNegative, negated, four)};
}

/// acc[row] += sum over the tile's 4 columns of lane * activation.
Value dot(HostEmitter &e, Value acc, Value lanes, const Quad &x) {
  if (e.level == CpuLevel::Avx512)
    return e.intrinsic("llvm.x86.avx512.vpdpbusd.512", e.vecI32(), {acc, lanes, x.signedBytes});
  // vpmaddubsw saturates at 2^15: with |lane| <= 127 and |x| <= 128 the pair sums stay below it.
  auto shorts = e.vec(16, e.i16());
  auto words = e.vec(8, e.i32());
  Value ones = arith::ConstantOp::create(e.b, DenseElementsAttr::get(shorts, int16_t(1)));
  SmallVector<Value> halves;
  for (int64_t h = 0; h < 2; ++h) {
    Value weights = e.slice(lanes, 32 * h, 32);
    Value turned = e.intrinsic("llvm.x86.avx2.psign.b", e.vec(32, e.i8()), {weights, x.signedBytes});
    Value pairs = e.intrinsic("llvm.x86.avx2.pmadd.ub.sw", shorts, {x.magnitude, turned});
    Value sums = e.intrinsic("llvm.x86.avx2.pmadd.wd", words, {pairs, ones});
    halves.push_back(arith::AddIOp::create(e.b, e.slice(acc, 8 * h, 8), sums));
  }
  return e.concat(halves[0], halves[1]);
}

/// Everything about one unit of columns that does not depend on the strip.
class UnitScaler {
public:
  UnitScaler(HostEmitter &e, const TileMatrix &matrix, const ActBuffer &act) : e(e), matrix(matrix), act(act) {}

  /// Adds the unit's exact integer sums to the fp32 sums: `total` already holds 256 hi + lo for 16-bit activations.
  Value scale(Value total, Value sums, Value unit, Value token, Value strip) {
    const ActLayout &layout = act.layout;
    const int64_t factor = matrix.decoder->factor(e.level), zero = matrix.decoder->zero(e.level);
    if (factor != 1)
      total = arith::MulIOp::create(e.b, total, e.splatI32(factor));
    if (zero != 0) {
      Value perUnit = e.mul(unit, unitOf(matrix).columns / act.sumColumns);
      Value index = e.add(e.mul(token, layout.sums), perUnit);
      Value offset = e.mul(index, 4);
      Value sum = sumOf(layout.sumHi, offset);
      if (matrix.activationBits == 16)
        sum = arith::AddIOp::create(e.b, arith::MulIOp::create(e.b, sum, e.c32(256)), sumOf(layout.sumLo, offset));
      Value correction = arith::MulIOp::create(e.b, sum, e.c32(zero));
      total = arith::SubIOp::create(e.b, total, e.broadcast(correction, e.vecI32()));
    }
    Value block = e.div(e.mul(unit, unitOf(matrix).columns), 128);
    Value address = e.at(act.base, e.add(e.mul(e.add(e.mul(token, layout.blocks), block), 4), layout.scale));
    Value s = e.load(e.f32(), address, 4);
    if (matrix.activationBits == 8)
      s = arith::MulFOp::create(e.b, s, e.cf32(256.0f));
    Value step = e.broadcast(s, e.vecF32());
    Value value = arith::SIToFPOp::create(e.b, e.vecF32(), total);
    if (!matrix.group)
      return e.fma(value, step, sums);
    Value group = e.div(e.mul(unit, unitOf(matrix).columns), matrix.group);
    return e.fma(arith::MulFOp::create(e.b, value, step), rowScales(strip, group), sums);
  }

  /// After the last unit: row scales (unless groups had theirs) and the codec's unit.
  Value finish(Value sums, Value strip) {
    Value factor = e.broadcast(matrix.decoder->unit(e), e.vecF32());
    if (!matrix.group)
      factor = arith::MulFOp::create(e.b, rowScales(strip, e.c64(0)), factor);
    return arith::MulFOp::create(e.b, sums, factor);
  }

private:
  /// The activation sums of a unit: one stored sum, or several when sums are finer than the unit.
  Value sumOf(int64_t part, Value offset) {
    Value result;
    for (int64_t i = 0; i < unitOf(matrix).columns / act.sumColumns; ++i) {
      Value one = e.load(e.i32(), e.at(act.base, e.add(offset, part + 4 * i)), 4);
      result = result ? arith::AddIOp::create(e.b, result, one).getResult() : one;
    }
    return result;
  }
  Value rowScales(Value strip, Value group) {
    Value index = e.add(e.mul(strip, matrix.groups()), group);
    Value half = e.load(e.vec(kLanes, e.b.getF16Type()), e.at(matrix.scales, e.mul(index, 2 * kLanes)), 32);
    return arith::ExtFOp::create(e.b, e.vecF32(), half);
  }

  HostEmitter &e;
  const TileMatrix &matrix;
  const ActBuffer &act;
};

/// Address of activation byte `column` of `token` in part hi (0) or lo (1).
Value activationAt(HostEmitter &e, const ActBuffer &act, int part, Value token, Value column) {
  Value offset = e.add(e.mul(token, act.layout.paddedColumns), column);
  return e.at(act.base, e.add(offset, part ? act.layout.lo : act.layout.hi));
}

/// How far ahead codes are asked for: the hardware prefetcher stops at every 4 KB page, and the reductions between
/// units let it fall behind.
constexpr int64_t kPrefetchBytes = 8192;

/// Tiles emitted straight-line: enough to hide latencies, few enough to stay in the decoded-instruction cache.
int64_t tilesPerStep(HostEmitter &e) { return e.level == CpuLevel::Avx512 ? 32 : 8; }

} // namespace

SmallVector<Value> emitMatVec(HostEmitter &e, const TileMatrix &matrix, const ActBuffer &act, Value firstStrip,
                              const MatmulVariant &variant) {
  const Unit unit = unitOf(matrix);
  const int64_t strips = variant.strips, accumulators = variant.accumulators;
  const int64_t parts = matrix.activationBits == 16 ? 2 : 1;
  const int64_t tileBytes = matrix.decoder->tileBytes;
  UnitScaler scaler(e, matrix, act);
  Value base = e.at(matrix.codes, e.mul(firstStrip, matrix.stripBytes()));

  auto doUnit = [&](Value index, int64_t tiles, ValueRange sums) {
    Value codes = e.at(base, e.mul(index, unit.tiles * tileBytes));
    Value column = e.mul(index, unit.columns);
    Value x[2] = {activationAt(e, act, 0, e.c64(0), column), activationAt(e, act, 1, e.c64(0), column)};
    SmallVector<Value> acc(strips * parts * accumulators, e.splatI32(0));
    auto steps = [&](Value tile, int64_t count, SmallVector<Value> acc) {
      SmallVector<SmallVector<Value>> lanes;
      for (int64_t s = 0; s < strips; ++s) {
        Value tiles = e.at(codes, e.add(e.mul(tile, tileBytes), s * matrix.stripBytes()));
        for (int64_t line = 0; line < count * tileBytes; line += 64)
          e.prefetch(e.at(tiles, line + kPrefetchBytes));
        lanes.push_back(matrix.decoder->decode(e, tiles, count));
      }
      for (int64_t t = 0; t < count; ++t)
        for (int64_t p = 0; p < parts; ++p) {
          Quad quad = loadQuad(e, e.at(x[p], e.add(e.mul(tile, 4), 4 * t)));
          for (int64_t s = 0; s < strips; ++s) {
            Value &a = acc[(s * parts + p) * accumulators + t % accumulators];
            a = dot(e, a, lanes[s][t], quad);
          }
        }
      return acc;
    };
    const int64_t step = tilesPerStep(e), whole = tiles / step * step;
    if (whole > step)
      acc = e.loop(e.c64(0), e.c64(whole), step, acc,
                   [&](Value tile, ValueRange carried) { return steps(tile, step, llvm::to_vector(carried)); });
    else if (whole)
      acc = steps(e.c64(0), step, acc);
    if (tiles > whole)
      acc = steps(e.c64(whole), tiles - whole, acc);

    SmallVector<Value> next;
    for (int64_t s = 0; s < strips; ++s) {
      Value total;
      for (int64_t p = 0; p < parts; ++p) {
        Value sum;
        for (int64_t a = 0; a < accumulators; ++a) {
          Value one = acc[(s * parts + p) * accumulators + a];
          sum = sum ? arith::AddIOp::create(e.b, sum, one).getResult() : one;
        }
        // 16-bit activations: 256 hi + lo, exact in 32 bits for a block of 128 columns.
        total =
            total ? arith::AddIOp::create(e.b, arith::ShLIOp::create(e.b, total, e.splatI32(8)), sum).getResult() : sum;
      }
      next.push_back(scaler.scale(total, sums[s], index, e.c64(0), e.add(firstStrip, s)));
    }
    return next;
  };

  SmallVector<Value> sums(strips, e.splatF32(0));
  const int64_t wholeUnits = matrix.columns / unit.columns, rest = matrix.columns % unit.columns;
  if (wholeUnits)
    sums = e.loop(e.c64(0), e.c64(wholeUnits), 1, sums,
                  [&](Value index, ValueRange carried) { return doUnit(index, unit.tiles, carried); });
  if (rest)
    sums = doUnit(e.c64(wholeUnits), (rest + 3) / 4, sums);
  for (int64_t s = 0; s < strips; ++s)
    sums[s] = scaler.finish(sums[s], e.add(firstStrip, s));
  return sums;
}

void emitMatMat(HostEmitter &e, const TileMatrix &matrix, const ActBuffer &act, Value firstStrip,
                const MatmulVariant &variant, Value out) {
  const Unit unit = unitOf(matrix);
  const int64_t strips = variant.strips, tokens = act.tokens;
  const int64_t group = std::min(variant.tokens, tokens);
  const int64_t tileBytes = matrix.decoder->tileBytes, outStrip = tokens * kLanes * 4;
  UnitScaler scaler(e, matrix, act);
  Value base = e.at(matrix.codes, e.mul(firstStrip, matrix.stripBytes()));
  // The decoded tiles of one unit stay in the first-level cache while all tokens pass by.
  const int64_t decodedStrip = unit.tiles * 64;
  Value decoded = e.stack(strips * decodedStrip);

  e.loop(strips * tokens, [&](Value i) { e.store(e.splatF32(0), e.at(out, e.mul(i, kLanes * 4)), 64); });

  auto doTokens = [&](Value index, int64_t tiles, Value firstToken, int64_t count) {
    Value column = e.mul(index, unit.columns);
    SmallVector<Value> acc(strips * count, e.splatI32(0));
    for (int part = 0; part < (matrix.activationBits == 16 ? 2 : 1); ++part) {
      // The same accumulators serve both bytes: 256 times the sum over hi, then lo on top.
      if (part == 1)
        for (Value &a : acc)
          a = arith::ShLIOp::create(e.b, a, e.splatI32(8));
      SmallVector<Value> x;
      for (int64_t t = 0; t < count; ++t)
        x.push_back(activationAt(e, act, part, e.add(firstToken, t), column));
      auto steps = [&](Value tile, int64_t width, SmallVector<Value> acc) {
        for (int64_t k = 0; k < width; ++k) {
          SmallVector<Value> lanes;
          for (int64_t s = 0; s < strips; ++s)
            lanes.push_back(
                e.load(e.vec(64, e.i8()), e.at(decoded, e.add(e.mul(tile, 64), 64 * k + s * decodedStrip)), 64));
          for (int64_t t = 0; t < count; ++t) {
            Quad quad = loadQuad(e, e.at(x[t], e.add(e.mul(tile, 4), 4 * k)));
            for (int64_t s = 0; s < strips; ++s)
              acc[s * count + t] = dot(e, acc[s * count + t], lanes[s], quad);
          }
        }
        return acc;
      };
      const int64_t width = 2, whole = tiles / width * width;
      if (whole)
        acc = e.loop(e.c64(0), e.c64(whole), width, acc,
                     [&](Value tile, ValueRange carried) { return steps(tile, width, llvm::to_vector(carried)); });
      if (tiles > whole)
        acc = steps(e.c64(whole), tiles - whole, acc);
    }
    for (int64_t s = 0; s < strips; ++s)
      for (int64_t t = 0; t < count; ++t) {
        Value token = e.add(firstToken, t);
        Value address = e.at(out, e.add(e.mul(token, kLanes * 4), s * outStrip));
        Value sums = e.load(e.vecF32(), address, 64);
        e.store(scaler.scale(acc[s * count + t], sums, index, token, e.add(firstStrip, s)), address, 64);
      }
  };
  auto doUnit = [&](Value index, int64_t tiles) {
    Value codes = e.at(base, e.mul(index, unit.tiles * tileBytes));
    // A tile takes a hundred instructions on AVX2, a dozen on AVX-512.
    const int64_t width = std::min<int64_t>(tiles, e.level == CpuLevel::Avx512 ? 8 : 2), whole = tiles / width * width;
    auto decodeSome = [&](Value tile, int64_t count) {
      for (int64_t s = 0; s < strips; ++s) {
        auto lanes =
            matrix.decoder->decode(e, e.at(codes, e.add(e.mul(tile, tileBytes), s * matrix.stripBytes())), count);
        for (int64_t t = 0; t < count; ++t)
          e.store(lanes[t], e.at(decoded, e.add(e.mul(tile, 64), 64 * t + s * decodedStrip)), 64);
      }
    };
    e.loop(e.c64(0), e.c64(whole), width, [&](Value tile) { decodeSome(tile, width); });
    if (tiles > whole)
      decodeSome(e.c64(whole), tiles - whole);
    const int64_t wholeTokens = tokens / group * group;
    e.loop(e.c64(0), e.c64(wholeTokens), group, [&](Value token) { doTokens(index, tiles, token, group); });
    if (tokens > wholeTokens)
      doTokens(index, tiles, e.c64(wholeTokens), tokens - wholeTokens);
  };
  const int64_t wholeUnits = matrix.columns / unit.columns, rest = matrix.columns % unit.columns;
  e.loop(wholeUnits, [&](Value index) { doUnit(index, unit.tiles); });
  if (rest)
    doUnit(e.c64(wholeUnits), (rest + 3) / 4);
  for (int64_t s = 0; s < strips; ++s)
    e.loop(tokens, [&](Value token) {
      Value address = e.at(out, e.add(e.mul(token, kLanes * 4), s * outStrip));
      e.store(scaler.finish(e.load(e.vecF32(), address, 64), e.add(firstStrip, s)), address, 64);
    });
}

} // namespace qlr
