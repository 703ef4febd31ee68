// Products with plain rows of bf16 or f32: a warp takes a row at a time, its threads the columns.
#include "codegen/nvptx/GpuProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

/// `count` consecutive weights as f32.
SmallVector<Value> loadWeights(GpuEmitter &e, Type element, Value address, int64_t count) {
  SmallVector<Value> result;
  if (count == 1) {
    if (element.isF32())
      return {e.loadConst(e.f32(), address, 4)};
    return {e.bf16ToFloat(e.loadConst(e.i16(), address, 2))};
  }
  const bool isFloat = element.isF32();
  for (Value word : e.loadStream(address, isFloat ? count : count / 2)) {
    if (isFloat) {
      result.push_back(e.bitcast(word, e.f32()));
      continue;
    }
    result.push_back(e.bitcast(e.shl(word, 16), e.f32()));
    result.push_back(e.bitcast(e.andi(word, 0xffff0000), e.f32()));
  }
  return result;
}

} // namespace

void emitFloatProduct(GpuEmitter &e, Type element, Value weights, int64_t rows, int64_t columns, Value x,
                      int64_t xStride, int64_t tokens, Value firstStrip, int64_t strips, Value out) {
  const int64_t bytes = element.getIntOrFloatBitWidth() / 8, itemRows = 16 * strips;
  // 16-byte loads where every row starts at a multiple of 16 bytes; 4 columns a thread, else one.
  const int64_t width = columns * bytes % 16 == 0 ? 4 : 1;
  const int64_t group = std::min<int64_t>(tokens, 8); // tokens whose sums are in registers
  const int64_t whole = columns / (width * kWarp) * (width * kWarp);
  // The warp's rows: warp, warp + warps, ...; the same number of rounds for all warps.
  e.loop((itemRows + e.warps() - 1) / e.warps(), [&](Value round) {
    Value rowInItem = e.add(e.mul(round, e.warps()), e.warp());
    Value row = e.min(e.add(e.mul(firstStrip, 16), rowInItem), rows - 1);
    Value base = e.at(weights, e.zext64(row), columns * bytes);
    auto someTokens = [&](Value firstToken, int64_t count) {
      auto step = [&](Value column, SmallVector<Value> acc) {
        SmallVector<Value> w = loadWeights(e, element, e.at(base, column, bytes), width);
        for (int64_t t = 0; t < count; ++t) {
          Value address = e.at(x, e.add(e.mul(e.add(firstToken, t), xStride), column), 4);
          for (int64_t i = 0; i < width; ++i)
            acc[t] = e.fma(w[i], e.loadF32(e.at(address, 4 * i)), acc[t]);
        }
        return acc;
      };
      SmallVector<Value> acc(count, e.cf32(0));
      Value start = e.mul(e.lane(), width);
      acc = e.loop(e.c32(0), e.c32(whole), e.c32(width * kWarp), acc, [&](Value first, ValueRange carried) {
        return step(e.add(first, start), llvm::to_vector(carried));
      });
      if (whole < columns) {
        // The rest: a thread's columns are all there or none (width divides the columns).
        acc = e.loop(e.add(start, whole), e.c32(columns), e.c32(width * kWarp), acc,
                     [&](Value column, ValueRange carried) { return step(column, llvm::to_vector(carried)); });
      }
      for (int64_t t = 0; t < count; ++t) {
        Value sum = e.warpSum(acc[t]);
        Value isWriter = e.both(e.eq(e.lane(), 0), e.ult(rowInItem, itemRows));
        e.when(isWriter,
               [&] { e.store(sum, e.at(out, e.add(e.mul(e.add(firstToken, t), itemRows), rowInItem), 4), 4); });
      }
    };
    const int64_t wholeTokens = tokens / group * group;
    e.loop(e.c32(0), e.c32(wholeTokens), e.c32(group), [&](Value token) { someTokens(token, group); });
    if (tokens > wholeTokens)
      someTokens(e.c32(wholeTokens), tokens - wholeTokens);
  });
  e.barrier();
}

} // namespace qlr
