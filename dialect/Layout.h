// How values of the dialect lie in memory: the agreement of buffer planning, kernels and artifacts.
#ifndef QLR_DIALECT_LAYOUT_H
#define QLR_DIALECT_LAYOUT_H

#include "dialect/Qlr.h"

namespace qlr {

constexpr int64_t kAlignment = 64;

/// A level table in the arena: 256 bytes of level + 128 (unused entries 128), then the table's f32 unit.
constexpr int64_t kLevelUnitOffset = 256;
constexpr int64_t kLevelTableBytes = 260;

constexpr int64_t alignTo64(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Bytes a tensor of the weights arena takes: padded, with 64 bytes that may be read beyond its end.
constexpr int64_t arenaBytes(int64_t bytes) { return alignTo64(bytes) + kAlignment; }

/// One run-time argument a weight stands for.
struct WeightComponent {
  llvm::StringRef name;     ///< "weight" (plain rows), "q.codes", "q.scales", "r.codes", ... or "levels"
  int64_t bytes;            ///< of all parts together, without arena padding
  CodecAttrInterface codec; ///< of the codes it belongs to
  bool isLevels() const { return name == "levels"; }
};

/// codes, scales, [levels], then with a low-rank branch r.codes, r.scales, [levels], l.codes,
/// l.scales, [levels]; plain rows are one component.
llvm::SmallVector<WeightComponent> weightComponents(WeightType type);

/// Bytes of `weightComponents`, levels left out: what one pass over the matrix reads.
int64_t weightBytes(WeightType type);

/// Floats from one token to the next in a matrix of `columns` columns.
constexpr int64_t rowStride(int64_t columns) { return (columns + 15) / 16 * 16; }

/// Byte offsets of the parts of quantized activations in their buffer.
struct ActLayout {
  int64_t paddedColumns; ///< Kp: columns rounded up to 128
  int64_t blocks;        ///< scales a token
  int64_t sums;          ///< sums a token
  int64_t hi, lo;        ///< i8 [tokens][Kp]
  int64_t scale;         ///< f32 [tokens][blocks]
  int64_t sumHi, sumLo;  ///< i32 [tokens][sums]
  int64_t bytes;         ///< of the whole buffer
};
ActLayout actLayout(ActType type);

/// Bytes of a value's workspace buffer, a multiple of 64; 0 for values that have none (weights, caches).
int64_t bufferBytes(mlir::Type type);

/// Bytes per position of a cache type.
int64_t cacheBytesPerPosition(CacheType type);

} // namespace qlr

#endif // QLR_DIALECT_LAYOUT_H
