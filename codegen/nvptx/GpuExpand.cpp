// The L factor of the low-rank branch: tiles decoded once into shared memory, multiplied with fp32 t = R x'.
#include "codegen/nvptx/GpuProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {

constexpr int64_t kChunk = 32; // column tiles at a time: 32 x 4 columns of 128 rows are 16 KB

int64_t expandBytes(const GpuMatrix &matrix, int64_t strips) {
  return std::min(kChunk, matrix.columnTiles()) * 16 * strips * 4;
}

void emitExpand(GpuEmitter &e, const GpuMatrix &matrix, Value firstStrip, int64_t strips, int64_t tokens,
                llvm::function_ref<Value(Value)> tOf, int64_t tStride, Value y) {
  const int64_t rows = 16 * strips, columnTiles = matrix.columnTiles(), mark = e.sharedMark();
  Value decoded = e.shared(expandBytes(matrix, strips)); // [tile][row] of int8 x 4
  for (int64_t first = 0; first < columnTiles; first += kChunk) {
    const int64_t tiles = std::min(kChunk, columnTiles - first);
    e.forThreads(strips * tiles, [&](Value i) {
      Value strip = e.min(e.add(firstStrip, e.div(i, tiles)), matrix.strips() - 1);
      Value tile = e.rem(i, tiles);
      Value address = e.at(e.at(matrix.codes, e.zext64(strip), matrix.stripBytes()), e.add(tile, first),
                           matrix.decoder->tileBytes());
      SmallVector<Value> words = matrix.decoder->load(e, address);
      SmallVector<Value> decodedRows = matrix.decoder->rows(e, words, TileForm::Bytes);
      Value place = e.at(decoded, e.add(e.mul(tile, rows), e.mul(e.div(i, tiles), 16)), 4);
      for (auto [r, word] : llvm::enumerate(decodedRows))
        e.store(word, e.at(place, 4 * r), 4);
    });
    e.barrier();
    e.forThreads(rows * tokens, [&](Value i) {
      Value row = e.rem(i, rows), token = e.div(i, rows);
      Value strip = e.min(e.add(firstStrip, e.shr(row, 4)), matrix.strips() - 1), rowInStrip = e.andi(row, 15);
      Value t = e.at(e.at(tOf(strip), e.mul(token, tStride), 4), 16 * first);
      Value sum = e.loop(e.c32(0), e.c32(tiles), e.c32(1), {e.cf32(0)}, [&](Value tile, ValueRange carried) {
        Value word = e.load(e.i32(), e.at(decoded, e.add(e.mul(tile, rows), row), 4), 4);
        Value four = e.load(e.vec(4, e.f32()), e.at(t, tile, 16), 16);
        Value sum = matrix.group ? e.cf32(0) : carried[0];
        for (int64_t c = 0; c < 4; ++c) {
          Value weight = e.sitofp(e.sar(e.shl(word, 24 - 8 * c), 24));
          sum = e.fma(weight, LLVM::ExtractElementOp::create(e.b, four, e.c32(c)), sum);
        }
        if (!matrix.group)
          return SmallVector<Value>{sum};
        Value group = e.div(e.mul(e.add(tile, first), 4), matrix.group);
        return SmallVector<Value>{e.fma(sum, rowScale(e, matrix, strip, rowInStrip, group), carried[0])};
      })[0];
      if (!matrix.group)
        sum = e.mulf(sum, rowScale(e, matrix, strip, rowInStrip, e.c32(0)));
      Value place = e.at(y, i, 4);
      e.store(e.addf(e.loadF32(place), sum), place, 4);
    });
    e.barrier();
  }
  e.sharedRelease(mark);
}

} // namespace qlr
