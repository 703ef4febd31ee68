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
  auto firstBit = [&](int weight) {
    return (static_cast<int>(bits) * (weight + 1) - static_cast<int>(window) + tileBits) % tileBits;
  };
  SmallVector<int64_t> bytes;
  if (e.level == CpuLevel::Avx512) {
    // A quadword serves 8 weights.
    SmallVector<int8_t> multishift;
    for (int word = 0; word < 8; ++word) {
      const int first = firstBit(8 * word);
      for (int j = 0; j < 8; ++j) {
        bytes.push_back((first / 8 + j) % tileBytes);
        multishift.push_back(static_cast<int8_t>(first % 8 + j * bits));
      }
    }
    control = {e.constI8(multishift)};
  } else {
    // A 16-bit word serves one weight: shifted right by 1 to 8 bits, as the high half of a product. The packing after
    // that takes 8 words of two vectors in turn.
    control.clear();
    for (int vector = 0; vector < 4; ++vector) {
      SmallVector<int16_t> factors;
      for (int lane = 0; lane < 16; ++lane) {
        const int weight = 32 * (vector / 2) + 8 * (vector % 2) + lane + (lane >= 8 ? 8 : 0);
        const int shift = (firstBit(weight) + 7) % 8 + 1, byte = (firstBit(weight) - shift + tileBits) % tileBits / 8;
        bytes.push_back(byte);
        bytes.push_back((byte + 1) % tileBytes);
        factors.push_back(static_cast<int16_t>(1 << (16 - shift)));
      }
      control.push_back(arith::ConstantOp::create(e.b, DenseElementsAttr::get(e.vec(16, e.i16()), ArrayRef(factors))));
    }
  }
  unsigned perChunk = 64 % tileBytes == 0 ? 64 / tileBytes : 1;
  spread.clear();
  for (unsigned t = 0; t < perChunk; ++t) {
    spread.push_back(bytes);
    for (int64_t &byte : spread.back())
      byte += t * tileBytes;
  }
}

Value WindowExtractor::extract(HostEmitter &e, Value chunk, unsigned index) {
  if (e.level == CpuLevel::Avx512)
    return e.intrinsic("llvm.x86.avx512.pmultishift.qb.512", e.vec(64, e.i8()),
                       {control[0], e.shuffle(chunk, chunk, spread[index])});
  auto words = e.vec(16, e.i16());
  Value mask = arith::ConstantOp::create(e.b, DenseElementsAttr::get(words, static_cast<int16_t>((1 << window) - 1)));
  SmallVector<Value> fields;
  for (unsigned vector = 0; vector < 4; ++vector) {
    Value bytes = e.shuffle(chunk, chunk, ArrayRef(spread[index]).slice(32 * vector, 32));
    Value shifted = e.intrinsic("llvm.x86.avx2.pmulhu.w", words, {e.bitcast(bytes, words), control[vector]});
    fields.push_back(arith::AndIOp::create(e.b, shifted, mask));
  }
  SmallVector<Value> halves;
  for (unsigned h = 0; h < 2; ++h)
    halves.push_back(e.intrinsic("llvm.x86.avx2.packuswb", e.vec(32, e.i8()), {fields[2 * h], fields[2 * h + 1]}));
  return e.concat(halves[0], halves[1]);
}

} // namespace qlr
