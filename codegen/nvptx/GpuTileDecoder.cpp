// Loads of tiles, look-up tables in shared memory.
#include "codegen/nvptx/GpuTileDecoder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

#include "codegen/nvptx/GpuCodecInterface.cpp.inc"

namespace qlr {

SmallVector<Value> GpuTileDecoder::load(GpuEmitter &e, Value address) const {
  const int64_t width = words() % 4 ? 2 : 4;
  SmallVector<Value> result;
  for (int64_t word = 0; word < words(); word += width)
    llvm::append_range(result, e.loadStream(e.at(address, 4 * word), width));
  return result;
}

std::array<Value, 4> GpuTileDecoder::row(GpuEmitter &e, Value address, Value row) {
  // The windows of four neighbours are 3 bits + window bits in a row, fewer than 33.
  const int64_t total = 32 * words();
  Value start = e.mul(row, 4 * bits);
  if (window > bits)
    start = e.rem(e.add(start, total + bits - window), total);
  Value word = e.shr(start, 5);
  Value low = e.loadConst(e.i32(), e.at(address, word, 4), 4);
  Value high = e.loadConst(e.i32(), e.at(address, e.rem(e.add(word, 1), words()), 4), 4);
  Value all = e.funnelRight(high, low, start);
  std::array<Value, 4> result;
  for (unsigned i = 0; i < 4; ++i)
    result[i] = levelOf(e, e.andi(e.shr(all, i * bits), (int64_t(1) << window) - 1));
  return result;
}

Value tileBits(GpuEmitter &e, ArrayRef<Value> words, int64_t start, int64_t count, int64_t scale) {
  const int64_t total = 32 * static_cast<int64_t>(words.size());
  start = (start - scale + total) % total;
  const int64_t word = start / 32, offset = start % 32;
  const int64_t mask = ((int64_t(1) << count) - 1) << scale;
  Value low = words[word];
  if (offset + count + scale <= 32)
    return e.andi(e.shr(low, offset), mask);
  return e.andi(e.funnelRight(words[(word + 1) % words.size()], low, offset), mask);
}

std::pair<Value, Value> bytesToHalves(GpuEmitter &e, Value bytes) {
  // A byte u in the mantissa of 1024 is the f16 1024 + u; with u = v + 128, subtracting 1152 leaves v.
  Value biased = e.xori(bytes, 0x80808080), magic = e.c32(0x64646464);
  auto pair = e.vec(2, e.b.getF16Type());
  Value bias = arith::ConstantOp::create(e.b, DenseElementsAttr::get(pair, e.b.getF16FloatAttr(1152.0).getValue()));
  auto half = [&](int64_t selector) {
    Value v = e.bitcast(e.prmt(biased, magic, selector), pair);
    return e.bitcast(arith::SubFOp::create(e.b, v, bias), e.i32());
  };
  return {half(0x4140), half(0x4342)};
}

int64_t GpuLutDecoder::entryBytes(TileForm form) const {
  const int64_t bytes = weights * (form == TileForm::Bytes || weights == 4 ? 1 : 2);
  // A copy in every bank is a whole word wide.
  return copies > 1 ? std::max<int64_t>(bytes, 4) : bytes;
}

int64_t GpuLutDecoder::tableBytes(TileForm form) const { return (entryBytes(form) * copies) << indexBits(); }

void GpuLutDecoder::prepare(GpuEmitter &e, TileForm form) {
  table = e.shared(tableBytes(form));
  const int64_t mask = (1 << window) - 1, bytes = entryBytes(form);
  e.forThreads(int64_t(1) << indexBits(), [&](Value index) {
    SmallVector<Value> entry; // words
    for (unsigned w = 0; w < weights; ++w) {
      Value level = levelOf(e, e.andi(e.shr(index, w * bits), mask));
      Value field;
      unsigned fieldBits = 8;
      if (form == TileForm::Bytes || weights == 4) {
        field = e.andi(level, 0xff);
      } else {
        fieldBits = 16;
        Value half = arith::TruncFOp::create(e.b, e.b.getF16Type(), e.sitofp(level));
        field = arith::ExtUIOp::create(e.b, e.i32(), e.bitcast(half, e.i16()));
      }
      const unsigned at = w * fieldBits;
      if (at % 32 == 0)
        entry.push_back(field);
      else
        entry.back() = e.ori(entry.back(), e.shl(field, at % 32));
    }
    Value address = e.at(table, index, bytes * copies);
    if (bytes == 2) {
      e.store(arith::TruncIOp::create(e.b, e.i16(), entry[0]), address, 2);
      return;
    }
    e.loop(copies, [&](Value copy) {
      for (auto [i, word] : llvm::enumerate(entry))
        e.store(word, e.at(e.at(address, copy, bytes), 4 * i), 4);
    });
  });
}

Value GpuLutDecoder::lookUp(GpuEmitter &e, ArrayRef<Value> words, int64_t firstWeight, TileForm form) {
  const int64_t bytes = entryBytes(form);
  const int64_t start = static_cast<int64_t>(bits) * (firstWeight + 1) - window;
  Value offset = tileBits(e, words, start, indexBits(), llvm::Log2_64(bytes * copies));
  if (copies > 1)
    offset = e.ori(offset, e.mul(e.lane(), bytes));
  Value address = e.at(table, offset);
  if (bytes == 2)
    return arith::ExtUIOp::create(e.b, e.i32(), e.load(e.i16(), address, 2));
  return e.load(e.i32(), address, 4);
}

SmallVector<Value> GpuLutDecoder::rows(GpuEmitter &e, ArrayRef<Value> words, TileForm form) {
  SmallVector<Value> result;
  for (int64_t row = 0; row < 16; ++row) {
    if (form == TileForm::Halves && weights == 2) {
      result.push_back(lookUp(e, words, 4 * row, form));
      result.push_back(lookUp(e, words, 4 * row + 2, form));
      continue;
    }
    Value bytes;
    if (weights == 4) {
      bytes = lookUp(e, words, 4 * row, form);
    } else {
      Value low = lookUp(e, words, 4 * row, form), high = lookUp(e, words, 4 * row + 2, form);
      bytes = e.prmt(low, high, 0x5410);
    }
    if (form == TileForm::Bytes) {
      result.push_back(bytes);
      continue;
    }
    auto [first, second] = bytesToHalves(e, bytes);
    result.push_back(first);
    result.push_back(second);
  }
  return result;
}

} // namespace qlr
