// Up to eight tokens on tensor cores: decoded registers are operands of mma as they are.
//
// A warp takes 8 strips; the four threads of group g = lane / 4 take tiles of strip g. Rows 2i and 2i + 1 of the eight
// strips are rows 0-7 and 8-15 of the i-th mma: which output row an mma row stands for is only a matter of labels. The
// same holds for columns: a thread's registers cover columns that lie side by side in memory.
#include "codegen/nvptx/GpuExchange.h"
#include "codegen/nvptx/GpuMma.h"
#include "codegen/nvptx/GpuProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

constexpr int64_t kMmaRows = 8; // mma operations that cover the 16 rows of a tile

class WarpMma {
public:
  WarpMma(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, Value firstStrip, Multiply multiply)
      : e(e), matrix(matrix), act(act), multiply(multiply), parts(matrix.activationBits == 16 ? 2 : 1) {
    group = e.shr(e.lane(), 2);
    quad = e.andi(e.lane(), 3);
    strip = e.min(e.add(firstStrip, group), matrix.strips() - 1);
    strips = e.at(matrix.codes, e.zext64(strip), matrix.stripBytes());
    // Columns of B beyond the tokens repeat the last one; their results are dropped.
    token = e.min(group, act.tokens - 1);
    for (int64_t i = 0; i < 2; ++i)
      resultToken[i] = e.min(e.add(e.mul(quad, 2), i), act.tokens - 1);
  }

  /// The 32 sums of this thread over blocks range.first + warp, + warps, ...
  SmallVector<Value> run(const BlockRange &range) {
    SmallVector<Value> sums(4 * kMmaRows, e.cf32(0));
    const int64_t columnTiles = matrix.columnTiles();
    return e.loop(e.add(range.first, e.warp()), range.end, e.c32(e.warps()), sums,
                  [&](Value block, ValueRange carried) {
                    SmallVector<Value> sums = llvm::to_vector(carried);
                    const int64_t unit = matrix.group ? std::min<int64_t>(matrix.group, 128) : 128;
                    for (int64_t first = 0; first < 128; first += unit)
                      addUnit(block, first, unit, columnTiles, sums);
                    return sums;
                  });
  }

  /// Into the exchange's place: [token][16 * strip in item + row].
  void write(WarpExchange &exchange, ArrayRef<Value> sums) {
    Value row0 = e.mul(group, 16);
    for (int64_t i = 0; i < 2; ++i) {
      Value at = e.add(e.mul(quad, 2), i);
      auto writeToken = [&] {
        for (int64_t m = 0; m < kMmaRows; ++m)
          for (int64_t odd = 0; odd < 2; ++odd)
            e.store(sums[4 * m + 2 * odd + i], exchange.place(at, e.add(row0, 2 * m + odd)), 4);
      };
      if (act.tokens == 8)
        writeToken();
      else
        e.when(e.ult(at, act.tokens), writeToken);
    }
  }

private:
  /// Columns first ... first + unit - 1 of a block, which share all scales.
  void addUnit(Value block, int64_t first, int64_t unit, int64_t columnTiles, SmallVector<Value> &sums) {
    const bool bytes = multiply == Multiply::Imma;
    Value zero = bytes ? e.c32(0) : e.cf32(0);
    SmallVector<SmallVector<Value>> acc(parts, SmallVector<Value>(4 * kMmaRows, zero));
    // 32 columns with bytes (two tiles a thread), 16 with halves (one).
    const int64_t tilesPerThread = bytes ? 2 : 1, step = 16 * tilesPerThread;
    const int64_t tileBytes = matrix.decoder->tileBytes();
    // Everything inside the block is at a constant distance from these.
    Value firstTile = e.add(e.mul(block, 32), e.mul(quad, tilesPerThread));
    Value ownTiles = e.at(strips, firstTile, tileBytes);
    Value firstColumn = e.mul(firstTile, 4);
    for (int64_t at = first; at < first + unit; at += step) {
      SmallVector<SmallVector<Value>> rows;
      for (int64_t t = 0; t < tilesPerThread; ++t) {
        const int64_t tile = at / 4 + t;
        Value address = e.at(ownTiles, tile * tileBytes);
        // Tiles beyond the last one are read as the last one; activations are zero there.
        if (columnTiles % 32)
          address = e.at(strips, e.min(e.add(firstTile, tile), columnTiles - 1), tileBytes);
        SmallVector<Value> words = matrix.decoder->load(e, address);
        rows.push_back(matrix.decoder->rows(e, words, formOf(multiply)));
      }
      for (int64_t p = 0; p < parts; ++p) {
        SmallVector<Value> b = activations(p, firstColumn, at, tilesPerThread);
        for (int64_t m = 0; m < kMmaRows; ++m) {
          ArrayRef<Value> c = ArrayRef<Value>(acc[p]).slice(4 * m, 4);
          SmallVector<Value> d;
          if (bytes)
            d = mmaBytes(e, {rows[0][2 * m], rows[0][2 * m + 1], rows[1][2 * m], rows[1][2 * m + 1]}, b, c);
          else
            d = mmaHalves(e, {rows[0][4 * m], rows[0][4 * m + 2], rows[0][4 * m + 1], rows[0][4 * m + 3]}, b, c);
          llvm::copy(d, acc[p].begin() + 4 * m);
        }
      }
    }
    // int8 activations are the high bytes, in units of 256.
    SmallVector<Value> scale;
    for (Value t : resultToken) {
      Value index = e.add(e.mul(t, act.layout.blocks), block);
      Value s = e.loadF32(e.at(e.at(act.base, act.layout.scale), index, 4));
      scale.push_back(parts == 1 ? e.mulf(s, e.cf32(256)) : s);
    }
    Value groupIndex =
        matrix.group ? e.min(e.add(e.mul(block, 128 / unit), first / unit), matrix.groups() - 1) : Value();
    for (int64_t m = 0; m < kMmaRows; ++m) {
      for (int64_t odd = 0; odd < 2; ++odd) {
        Value own;
        if (matrix.group)
          own = rowScale(e, matrix, strip, e.c32(2 * m + odd), groupIndex);
        for (int64_t i = 0; i < 2; ++i) {
          const int64_t at = 4 * m + 2 * odd + i;
          Value total = combine(acc, at);
          Value s = own ? e.mulf(scale[i], own) : scale[i];
          sums[at] = e.fma(total, s, sums[at]);
        }
      }
    }
  }

  /// 256 hi + lo as f32; exact in integers, and each sum is exact in f32.
  Value combine(ArrayRef<SmallVector<Value>> acc, int64_t at) {
    if (multiply == Multiply::Imma)
      return e.sitofp(parts == 1 ? acc[0][at] : e.add(e.shl(acc[0][at], 8), acc[1][at]));
    return parts == 1 ? acc[0][at] : e.fma(acc[0][at], e.cf32(256), acc[1][at]);
  }

  /// B's two registers: `tiles` quads of activation bytes of this thread's token from `column` + `at` on.
  SmallVector<Value> activations(int64_t part, Value column, int64_t at, int64_t tiles) {
    Value base = e.at(act.base, part ? act.layout.lo : act.layout.hi);
    Value address = e.at(e.at(base, e.add(e.mul(token, act.layout.paddedColumns), column)), at);
    if (tiles == 2) {
      Value both = e.load(e.vec(2, e.i32()), address, 8);
      return {LLVM::ExtractElementOp::create(e.b, both, e.c32(0)), LLVM::ExtractElementOp::create(e.b, both, e.c32(1))};
    }
    auto [first, second] = bytesToHalves(e, e.load(e.i32(), address, 4));
    return {first, second};
  }

  GpuEmitter &e;
  const GpuMatrix &matrix;
  const GpuAct &act;
  const Multiply multiply;
  const int64_t parts;
  Value group, quad, strip, strips, token, resultToken[2];
};

} // namespace

void emitWarpMma(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, Value firstStrip, const BlockRange &range,
                 Multiply multiply, Value out) {
  const int64_t mark = e.sharedMark();
  WarpExchange exchange(e, act.tokens, 16 * stripsOf(multiply), out);
  WarpMma product(e, matrix, act, firstStrip, multiply);
  product.write(exchange, product.run(range));
  exchange.reduce();
  e.sharedRelease(mark);
}

} // namespace qlr
