// One or two tokens on CUDA cores: a thread multiplies the rows of its tile with four activations at a time.
//
// A warp takes 4 strips; eight threads side by side take tiles side by side of one strip, four rounds a block of 128
// columns, so the sums of a block are scaled once for four tiles.
#include "codegen/nvptx/GpuExchange.h"
#include "codegen/nvptx/GpuProduct.h"

using namespace mlir;

namespace qlr {

void emitDp4a(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, Value firstStrip, const BlockRange &range,
              Value out) {
  constexpr int64_t kRows = 16, kThreads = 8; // of a tile; of a strip
  const int64_t mark = e.sharedMark(), parts = matrix.activationBits == 16 ? 2 : 1, tokens = act.tokens;
  WarpExchange exchange(e, tokens, kRows * stripsOf(Multiply::Dp4a), out);
  Value stripInItem = e.shr(e.lane(), 3), thread = e.andi(e.lane(), kThreads - 1);
  Value strip = e.min(e.add(firstStrip, stripInItem), matrix.strips() - 1);
  Value codes = e.at(matrix.codes, e.zext64(strip), matrix.stripBytes());

  const int64_t unit = matrix.group ? std::min<int64_t>(matrix.group, 128) : 128;
  auto addUnit = [&](Value block, int64_t first, SmallVector<Value> &sums) {
    SmallVector<Value> acc(tokens * parts * kRows, e.c32(0));
    // Everything inside the block is at a constant distance from these.
    const int64_t tileBytes = matrix.decoder->tileBytes();
    Value firstTile = e.add(e.mul(block, 32), thread), ownTiles = e.at(codes, firstTile, tileBytes);
    for (int64_t at = first; at < first + unit; at += 4 * kThreads) {
      Value address = e.at(ownTiles, at / 4 * tileBytes);
      // Tiles beyond the last one are read as the last one; activations are zero there.
      if (matrix.columnTiles() % 32)
        address = e.at(codes, e.min(e.add(firstTile, at / 4), matrix.columnTiles() - 1), tileBytes);
      SmallVector<Value> words = matrix.decoder->load(e, address);
      SmallVector<Value> rows = matrix.decoder->rows(e, words, TileForm::Bytes);
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t p = 0; p < parts; ++p) {
          Value base = e.at(act.base, (p ? act.layout.lo : act.layout.hi) + t * act.layout.paddedColumns);
          Value x = e.load(e.i32(), e.at(e.at(base, firstTile, 4), at), 4);
          for (int64_t r = 0; r < kRows; ++r) {
            Value &a = acc[(t * parts + p) * kRows + r];
            a = e.dp4a(rows[r], x, a);
          }
        }
    }
    for (int64_t t = 0; t < tokens; ++t) {
      Value scale = e.loadF32(e.at(e.at(act.base, act.layout.scale + 4 * t * act.layout.blocks), block, 4));
      if (parts == 1)
        scale = e.mulf(scale, e.cf32(256)); // int8 activations are the high bytes
      for (int64_t r = 0; r < kRows; ++r) {
        Value total = acc[t * parts * kRows + r];
        if (parts == 2)
          total = e.add(e.shl(total, 8), acc[(t * parts + 1) * kRows + r]);
        Value s = scale;
        if (matrix.group) {
          Value group = e.min(e.add(e.mul(block, 128 / unit), first / unit), matrix.groups() - 1);
          s = e.mulf(scale, rowScale(e, matrix, strip, e.c32(r), group));
        }
        sums[t * kRows + r] = e.fma(e.sitofp(total), s, sums[t * kRows + r]);
      }
    }
  };
  SmallVector<Value> sums(tokens * kRows, e.cf32(0));
  sums = e.loop(e.add(range.first, e.warp()), range.end, e.c32(e.warps()), sums, [&](Value block, ValueRange carried) {
    SmallVector<Value> next = llvm::to_vector(carried);
    for (int64_t first = 0; first < 128; first += unit)
      addUnit(block, first, next);
    return next;
  });
  for (Value &sum : sums)
    for (int64_t mask = kThreads / 2; mask > 0; mask /= 2)
      sum = e.addf(sum, e.shuffleXor(sum, mask));
  e.when(e.eq(thread, 0), [&] {
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t r = 0; r < kRows; ++r)
        e.store(sums[t * kRows + r], exchange.place(e.c32(t), e.add(e.mul(stripInItem, kRows), r)), 4);
  });
  exchange.reduce();
  e.sharedRelease(mark);
}

} // namespace qlr
