// Prefill: 128 rows by up to 128 tokens an item on int8 tensor cores. Each tile is decoded once for all tokens.
//
// Per block of 128 columns: every thread decodes one tile (8 strips x 32 tiles = 256 threads) into shared memory, the
// activations of the block arrive there by cp.async while the block before is multiplied, and the warps, 4 by 2, take
// 32 rows x 64 tokens each. Rows in shared memory are 16 bytes longer than their 128: ldmatrix reads eight of them
// without meeting a bank twice.
#include "codegen/nvptx/GpuMma.h"
#include "codegen/nvptx/GpuProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

constexpr int64_t kRows = 128, kColumns = 128, kPitch = kColumns + 16;
constexpr int64_t kWarpRows = 32, kRowTiles = kWarpRows / 16;

class BlockMma {
public:
  BlockMma(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, Value firstStrip, Value memory)
      : e(e), matrix(matrix), act(act), parts(partsOf(matrix)), tokensPadded(padded(act.tokens)),
        tokenTiles(tokensPadded / 16), weights(memory), activations(e.at(memory, kRows * kPitch)) {
    assert(e.threads == 256 && "a thread decodes one tile of a block");
    strip = e.min(e.add(firstStrip, e.warp()), matrix.strips() - 1);
    codes = e.at(matrix.codes, e.zext64(strip), matrix.stripBytes());
    // 4 warps along the rows, 2 along the tokens.
    rowBase = e.mul(e.andi(e.warp(), 3), kWarpRows);
    tokenBase = e.mul(e.shr(e.warp(), 2), 8 * tokenTiles);
    group = e.shr(e.lane(), 2);
    quad = e.andi(e.lane(), 3);
  }

  static int64_t partsOf(const GpuMatrix &matrix) { return matrix.activationBits == 16 ? 2 : 1; }
  static int64_t padded(int64_t tokens) { return (tokens + 31) / 32 * 32; }

  void run(const BlockRange &range, Value firstStrip, Value out) {
    // Sums of (row tile, token tile): 4 f32 each.
    SmallVector<Value> init(4 * kRowTiles * tokenTiles, e.cf32(0));
    copyActivations(range.first, e.c32(0));
    auto sums = e.loop(range.first, range.end, e.c32(1), init, [&](Value block, ValueRange carried) {
      SmallVector<Value> sums = llvm::to_vector(carried);
      Value buffer = e.andi(e.sub(block, range.first), 1);
      decode(block);
      e.intrinsic("llvm.nvvm.cp.async.wait.group", ValueRange{e.c32(0)});
      e.barrier();
      Value next = e.add(block, 1);
      e.when(e.ult(next, range.end), [&] { copyActivations(next, e.xori(buffer, 1)); });
      const int64_t unit = matrix.group ? std::min<int64_t>(matrix.group, 128) : 128;
      for (int64_t first = 0; first < kColumns; first += unit)
        addUnit(block, buffer, first, unit, firstStrip, sums);
      e.barrier(); // the tiles of the next block go where these are
      return sums;
    });
    write(sums, out);
    e.barrier();
  }

private:
  /// This thread's tile of the block: tile `lane` of strip `warp`, its 16 rows as words of four columns.
  void decode(Value block) {
    Value tile = e.add(e.mul(block, 32), e.lane());
    // Tiles beyond the last one are read as the last one; activations are zero there.
    tile = e.min(tile, matrix.columnTiles() - 1);
    SmallVector<Value> words = matrix.decoder->load(e, e.at(codes, tile, matrix.decoder->tileBytes()));
    SmallVector<Value> rows = matrix.decoder->rows(e, words, TileForm::Bytes);
    Value place = e.at(weights, e.add(e.mul(e.warp(), 16 * kPitch), e.mul(e.lane(), 4)));
    for (int64_t r = 0; r < 16; ++r)
      e.store(rows[r], e.at(place, r * kPitch), 4);
  }

  Value activationBuffer(Value buffer, int64_t part) {
    Value index = e.add(e.mul(buffer, parts), part);
    return e.at(activations, index, tokensPadded * kPitch);
  }

  /// Starts copying the activations of `block` to `buffer` (0 or 1): 16 bytes a thread at a time, 32 tokens a round at
  /// constant distances.
  void copyActivations(Value block, Value buffer) {
    Value row = e.shr(e.tid(), 3), column = e.mul(e.andi(e.tid(), 7), 16);
    Value from = e.at(act.base, e.add(e.mul(row, act.layout.paddedColumns), e.add(e.mul(block, kColumns), column)));
    Value to = e.add(e.mul(row, kPitch), column);
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t source = part ? act.layout.lo : act.layout.hi;
      Value target = e.at(activationBuffer(buffer, part), to);
      for (int64_t first = 0; first < tokensPadded; first += 32) {
        Value address = e.at(from, source + first * act.layout.paddedColumns);
        if (first + 32 > act.tokens) {
          // Rows beyond the last token repeat it; their results are dropped.
          Value token = e.min(e.add(row, first), act.tokens - 1);
          Value index = e.add(e.mul(token, act.layout.paddedColumns), e.add(e.mul(block, kColumns), column));
          address = e.at(e.at(act.base, source), index);
        }
        e.intrinsic("llvm.nvvm.cp.async.cg.shared.global.16", ValueRange{e.at(target, first * kPitch), address});
      }
    }
    e.intrinsic("llvm.nvvm.cp.async.commit.group", ValueRange());
  }

  /// This lane's address for ldmatrix x4 of 16 rows x 32 bytes at row `row` of `base`: matrices are (rows 0-7, 8-15) x
  /// (bytes 0-15, 16-31), in the order of an A operand with `rowsFirst`, else of two B operands. Other tiles are at
  /// constant distances, which are parts of the instruction.
  Value matrixAddress(Value base, Value row, bool rowsFirst) {
    Value within = e.andi(e.lane(), 7), low = e.andi(e.shr(e.lane(), 3), 1), high = e.shr(e.lane(), 4);
    Value lowerRows = rowsFirst ? low : high, bytes = rowsFirst ? high : low;
    Value r = e.add(e.add(row, e.mul(lowerRows, 8)), within);
    return e.at(base, e.add(e.mul(r, kPitch), e.mul(bytes, 16)));
  }

  void addUnit(Value block, Value buffer, int64_t first, int64_t unit, Value firstStrip, SmallVector<Value> &sums) {
    // The weights' operands stay in registers while the tokens pass by, two tiles of 8 at a time: what is summed in
    // integers is then 16 registers, beside the sums that are kept.
    SmallVector<SmallVector<Value>> a; // [column step][row tile]
    Value ownRows = matrixAddress(weights, rowBase, true);
    for (int64_t k = first; k < first + unit; k += 32)
      for (int64_t m = 0; m < kRowTiles; ++m)
        a.push_back(loadMatrices(e, e.at(ownRows, 16 * m * kPitch + k)));
    SmallVector<Value> rowScales(2 * kRowTiles);
    if (matrix.group)
      for (int64_t i = 0; i < 2 * kRowTiles; ++i) {
        Value row = e.add(rowBase, e.add(group, 8 * i));
        Value strip = e.min(e.add(firstStrip, e.shr(row, 4)), matrix.strips() - 1);
        Value groupIndex = e.min(e.add(e.mul(block, 128 / unit), first / unit), matrix.groups() - 1);
        rowScales[i] = rowScale(e, matrix, strip, e.andi(row, 15), groupIndex);
      }
    Value ownTokens[2];
    for (int64_t part = 0; part < parts; ++part)
      ownTokens[part] = matrixAddress(activationBuffer(buffer, part), tokenBase, false);
    Value firstToken = e.add(tokenBase, e.mul(quad, 2)), scales = e.at(act.base, act.layout.scale);
    Value ownScales = e.at(scales, e.add(e.mul(firstToken, act.layout.blocks), block), 4);
    for (int64_t n = 0; n < tokenTiles; n += 2) {
      SmallVector<Value> acc(2 * kRowTiles * 4, e.c32(0)); // [token tile][row tile][4]
      for (int64_t part = 0; part < parts; ++part) {
        // 256 times the sum over the high bytes, then the low bytes on top: exact in 32 bits for 128 columns.
        if (part == 1)
          for (Value &sum : acc)
            sum = e.shl(sum, 8);
        for (int64_t k = first; k < first + unit; k += 32) {
          SmallVector<Value> b = loadMatrices(e, e.at(ownTokens[part], 8 * n * kPitch + k));
          for (int64_t i = 0; i < 2; ++i)
            for (int64_t m = 0; m < kRowTiles; ++m) {
              const int64_t at = 4 * (i * kRowTiles + m);
              ArrayRef<Value> operand = a[(k - first) / 32 * kRowTiles + m];
              SmallVector<Value> d = mmaBytes(e, operand, {b[2 * i], b[2 * i + 1]}, ArrayRef<Value>(acc).slice(at, 4));
              llvm::copy(d, acc.begin() + at);
            }
        }
      }
      for (int64_t i = 0; i < 2; ++i)
        for (int64_t j = 0; j < 2; ++j) {
          const int64_t token = 8 * (n + i) + j;
          Value address = e.at(ownScales, token * act.layout.blocks * 4);
          if (tokensPadded != act.tokens) {
            Value clamped = e.min(e.add(firstToken, token), act.tokens - 1);
            address = e.at(scales, e.add(e.mul(clamped, act.layout.blocks), block), 4);
          }
          Value scale = e.loadF32(address);
          if (parts == 1)
            scale = e.mulf(scale, e.cf32(256)); // int8 activations are the high bytes
          for (int64_t half = 0; half < 2 * kRowTiles; ++half) {
            const int64_t within = 2 * (half % 2) + j, m = half / 2;
            Value s = matrix.group ? e.mulf(scale, rowScales[half]) : scale;
            Value &sum = sums[4 * (m * tokenTiles + n + i) + within];
            sum = e.fma(e.sitofp(acc[4 * (i * kRowTiles + m) + within]), s, sum);
          }
        }
    }
  }

  void write(ArrayRef<Value> sums, Value out) {
    for (int64_t n = 0; n < tokenTiles; ++n)
      for (int64_t i = 0; i < 2; ++i) {
        Value token = e.add(e.add(tokenBase, 8 * n + i), e.mul(quad, 2));
        auto writeToken = [&] {
          for (int64_t m = 0; m < kRowTiles; ++m)
            for (int64_t half = 0; half < 2; ++half) {
              Value row = e.add(rowBase, e.add(group, 16 * m + 8 * half));
              e.store(sums[4 * (m * tokenTiles + n) + 2 * half + i], e.at(out, e.add(e.mul(token, kRows), row), 4), 4);
            }
        };
        if (tokensPadded == act.tokens)
          writeToken();
        else
          e.when(e.ult(token, act.tokens), writeToken);
      }
  }

  GpuEmitter &e;
  const GpuMatrix &matrix;
  const GpuAct &act;
  const int64_t parts;
  const int64_t tokensPadded; ///< to an even number of token tiles for each of two warps
  const int64_t tokenTiles;   ///< of 8 tokens, of one warp
  Value weights, activations; ///< shared: [row][kPitch]; [buffer][part][token][kPitch]
  Value strip, codes, rowBase, tokenBase, group, quad;
};

} // namespace

int64_t blockMmaBytes(const GpuMatrix &matrix, int64_t tokens) {
  return kRows * kPitch + 2 * BlockMma::partsOf(matrix) * BlockMma::padded(tokens) * kPitch;
}

void emitBlockMma(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, Value firstStrip, const BlockRange &range,
                  Value out) {
  // What was multiplied last has been read when the sums are written: both have the same memory.
  BlockMma(e, matrix, act, firstStrip, out).run(range, firstStrip, out);
}

} // namespace qlr
