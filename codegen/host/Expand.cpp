// The L factor of the low-rank branch: tiles decoded to fp32 columns, multiplied with the fp32 vector t = R x'.
#include "codegen/host/TileMatmul.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {
namespace {

/// The four columns of a decoded tile as fp32: lane = row, value = decodeTile's integer.
SmallVector<Value> columnsOf(HostEmitter &e, TileDecoder &decoder, Value lanes) {
  Value rows = e.bitcast(lanes, e.vecI32());
  const bool isUnsigned = e.level == CpuLevel::Avx512;
  SmallVector<Value> columns;
  for (int64_t c = 0; c < 4; ++c) {
    Value top = c == 3 ? rows : arith::ShLIOp::create(e.b, rows, e.splatI32(24 - 8 * c)).getResult();
    Value value = isUnsigned ? arith::ShRUIOp::create(e.b, top, e.splatI32(24)).getResult()
                             : arith::ShRSIOp::create(e.b, top, e.splatI32(24)).getResult();
    if (int64_t factor = decoder.factor(e.level); factor != 1)
      value = arith::MulIOp::create(e.b, value, e.splatI32(factor));
    if (int64_t zero = decoder.zero(e.level); zero != 0)
      value = arith::SubIOp::create(e.b, value, e.splatI32(zero));
    columns.push_back(arith::SIToFPOp::create(e.b, e.vecF32(), value));
  }
  return columns;
}

/// Scales of a strip for group `group` (i64; 0 without groups), times the codec's unit.
Value scaleOf(HostEmitter &e, const TileMatrix &matrix, Value strip, Value group) {
  Value index = e.add(e.mul(strip, matrix.groups()), group);
  Value half = e.load(e.vec(kLanes, e.b.getF16Type()), e.at(matrix.scales, e.mul(index, 2 * kLanes)), 32);
  Value unit = e.broadcast(matrix.decoder->unit(e), e.vecF32());
  return arith::MulFOp::create(e.b, arith::ExtFOp::create(e.b, e.vecF32(), half), unit);
}

} // namespace

Value emitExpandOne(HostEmitter &e, const TileMatrix &matrix, Value strip, Value t) {
  Value codes = e.at(matrix.codes, e.mul(strip, matrix.stripBytes()));
  auto steps = [&](Value tile, int64_t count, SmallVector<Value> acc) {
    auto tiles = matrix.decoder->decode(e, e.at(codes, e.mul(tile, matrix.decoder->tileBytes)), count);
    for (int64_t i = 0; i < count; ++i) {
      auto columns = columnsOf(e, *matrix.decoder, tiles[i]);
      for (int64_t c = 0; c < 4; ++c) {
        Value value = e.load(e.f32(), e.at(t, e.add(e.mul(tile, 16), 16 * i + 4 * c)), 4);
        acc[c] = e.fma(columns[c], e.broadcast(value, e.vecF32()), acc[c]);
      }
    }
    return acc;
  };
  // Columns that share a scale are summed before it is applied; without groups that is all of them.
  const int64_t tiles = matrix.columnTiles(), groupTiles = matrix.group ? matrix.group / 4 : tiles;
  Value result;
  for (int64_t first = 0; first < tiles; first += groupTiles) {
    const int64_t count = std::min(groupTiles, tiles - first);
    const int64_t width = std::min<int64_t>(count, 4), whole = first + count / width * width;
    SmallVector<Value> acc(4, e.splatF32(0));
    acc = e.loop(e.c64(first), e.c64(whole), width, acc,
                 [&](Value tile, ValueRange carried) { return steps(tile, width, llvm::to_vector(carried)); });
    if (first + count > whole)
      acc = steps(e.c64(whole), first + count - whole, acc);
    Value sum = arith::AddFOp::create(e.b, arith::AddFOp::create(e.b, acc[0], acc[1]),
                                      arith::AddFOp::create(e.b, acc[2], acc[3]));
    Value scale = scaleOf(e, matrix, strip, e.c64(first / groupTiles));
    result = result ? e.fma(sum, scale, result) : arith::MulFOp::create(e.b, sum, scale).getResult();
  }
  return result;
}

void emitExpandMany(HostEmitter &e, const TileMatrix &matrix, Value strip, Value t, int64_t tokens, int64_t tokenStride,
                    Value out) {
  const int64_t tiles = matrix.columnTiles();
  Value codes = e.at(matrix.codes, e.mul(strip, matrix.stripBytes()));
  Value decoded = e.stack(tiles * 4 * kLanes * 4);
  e.loop(tiles, [&](Value tile) {
    auto lanes = matrix.decoder->decode(e, e.at(codes, e.mul(tile, matrix.decoder->tileBytes)), 1);
    auto columns = columnsOf(e, *matrix.decoder, lanes[0]);
    Value scale = scaleOf(e, matrix, strip, matrix.group ? e.div(e.mul(tile, 4), matrix.group) : e.c64(0));
    for (int64_t c = 0; c < 4; ++c)
      e.store(arith::MulFOp::create(e.b, columns[c], scale),
              e.at(decoded, e.add(e.mul(tile, 4 * kLanes * 4), c * kLanes * 4)), 64);
  });
  auto some = [&](Value firstToken, int64_t count) {
    SmallVector<Value> acc(count, e.splatF32(0));
    acc = e.loop(e.c64(0), e.c64(tiles * 4), 1, acc, [&](Value column, ValueRange carried) {
      Value weights = e.load(e.vecF32(), e.at(decoded, e.mul(column, kLanes * 4)), 64);
      SmallVector<Value> next;
      for (int64_t i = 0; i < count; ++i) {
        Value value = e.load(e.f32(), e.at(t, e.add(e.mul(e.add(firstToken, i), tokenStride), e.mul(column, 4))), 4);
        next.push_back(e.fma(weights, e.broadcast(value, e.vecF32()), carried[i]));
      }
      return next;
    });
    for (int64_t i = 0; i < count; ++i) {
      Value address = e.at(out, e.mul(e.add(firstToken, i), kLanes * 4));
      e.store(acc[i], address, 64);
    }
  };
  const int64_t group = std::min<int64_t>(tokens, 8), whole = tokens / group * group;
  e.loop(e.c64(0), e.c64(whole), group, [&](Value token) { some(token, group); });
  if (tokens > whole)
    some(e.c64(whole), tokens - whole);
}

} // namespace qlr
