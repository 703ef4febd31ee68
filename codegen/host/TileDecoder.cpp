// Chunked loads and window extraction shared by the codecs' host decoders.
#include "codegen/host/TileDecoder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

#include "codegen/host/HostCodecInterface.cpp.inc"

namespace qlr {

SmallVector<Value> TileDecoder::decode(HostEmitter &e, Value address, unsigned count) {
  // A 64-byte load holds several tiles where their size divides 64; 3-bit tiles (24 bytes) are loaded one by one.
  unsigned perChunk = 64 % tileBytes == 0 ? 64 / tileBytes : 1;
  SmallVector<Value> result;
  Value chunk;
  for (unsigned i = 0; i < count; ++i) {
    if (i % perChunk == 0)
      chunk = e.load(e.vec(64, e.i8()), e.at(address, static_cast<int64_t>(i) * tileBytes));
    result.push_back(lanes(e, chunk, i % perChunk));
  }
  return result;
}

void WindowExtractor::prepare(HostEmitter &e) {
  const int tileBits = 64 * bits, tileBytes = 8 * bits;
  const bool wide = e.level == CpuLevel::Avx512;
  // AVX-512: a quadword serves 8 weights; AVX2: a doubleword serves the 4 weights of a row.
  const int perWord = wide ? 8 : 4, wordBytes = perWord;
  SmallVector<int8_t> multishift;
  SmallVector<int32_t> shifts;
  SmallVector<int64_t> bytes;
  for (int word = 0; word < 64 / perWord; ++word) {
    int firstBit = (static_cast<int>(bits) * (perWord * word + 1) - static_cast<int>(window) + tileBits) % tileBits;
    int firstByte = firstBit / 8, offset = firstBit % 8;
    for (int j = 0; j < wordBytes; ++j)
      bytes.push_back((firstByte + j) % tileBytes);
    for (int k = 0; k < perWord; ++k)
      multishift.push_back(static_cast<int8_t>(offset + k * bits));
    shifts.push_back(offset);
  }
  unsigned perChunk = 64 % tileBytes == 0 ? 64 / tileBytes : 1;
  spread.clear();
  for (unsigned t = 0; t < perChunk; ++t) {
    spread.push_back(bytes);
    for (int64_t &byte : spread.back())
      byte += t * tileBytes;
  }
  control = wide ? e.constI8(multishift) : e.constI32(shifts);
}

Value WindowExtractor::extract(HostEmitter &e, Value chunk, unsigned index) {
  auto lanes8 = e.vec(64, e.i8());
  Value words = e.shuffle(chunk, chunk, spread[index]);
  if (e.level == CpuLevel::Avx512)
    return e.intrinsic("llvm.x86.avx512.pmultishift.qb.512", lanes8, {control, words});
  // Each row's doubleword: bring weight c's window to byte c.
  Value row = arith::ShRUIOp::create(e.b, e.bitcast(words, e.vecI32()), control);
  Value result;
  for (unsigned c = 0; c < 4; ++c) {
    Value field = row;
    if (c > 0)
      field = arith::ShRUIOp::create(e.b, field, e.splatI32(c * bits));
    field = arith::AndIOp::create(e.b, field, e.splatI32((1 << window) - 1));
    if (c > 0)
      field = arith::ShLIOp::create(e.b, field, e.splatI32(8 * c));
    result = result ? arith::OrIOp::create(e.b, result, field).getResult() : field;
  }
  return e.bitcast(result, lanes8);
}

} // namespace qlr
