// Products of tiled weights with quantized activations (integers) and with f32 vectors (the L factor).
#ifndef QLR_CODEGEN_HOST_TILEMATMUL_H
#define QLR_CODEGEN_HOST_TILEMATMUL_H

#include "codegen/host/TileDecoder.h"
#include "dialect/Layout.h"

namespace qlr {

/// A tiled matrix as a kernel sees it. Codes are [strips][column tiles][bytes of a tile], scales F16 [strips][16], with
/// groups [strips][groups][16].
struct TileMatrix {
  int64_t rows, columns;
  unsigned group;          ///< columns that share a scale; 0: one a row
  unsigned activationBits; ///< 8 or 16
  std::shared_ptr<TileDecoder> decoder;
  mlir::Value codes, scales;

  int64_t strips() const { return (rows + 15) / 16; }
  int64_t columnTiles() const { return (columns + 3) / 4; }
  int64_t stripBytes() const { return columnTiles() * decoder->tileBytes; }
  int64_t groups() const { return group ? (columns + group - 1) / group : 1; }
};

/// Quantized activations in memory, laid out as dialect/Layout.h says.
struct ActBuffer {
  ActBuffer(ActType type, mlir::Value base)
      : tokens(type.getTokens()), sumColumns(type.getSums()), layout(actLayout(type)), base(base) {}

  int64_t tokens;
  int64_t sumColumns; ///< columns one stored sum covers
  ActLayout layout;
  mlir::Value base;
};

/// How the integer product is blocked; chosen by qlr-select-variants.
struct MatmulVariant {
  int64_t strips = 1;       ///< strips of 16 rows worked on at once
  int64_t accumulators = 4; ///< partial sums per strip (one token), to hide the latency of the dot product
  int64_t tokens = 8;       ///< tokens whose sums stay in registers (several tokens)
};

/// One token: for each of variant.strips strips from `firstStrip` (i64) on, the 16 products, scaled, as vector<16xf32>.
llvm::SmallVector<mlir::Value> emitMatVec(HostEmitter &e, const TileMatrix &matrix, const ActBuffer &act,
                                          mlir::Value firstStrip, const MatmulVariant &variant);

/// All tokens of `act`: each tile is decoded once. Writes scaled products f32 [variant.strips][tokens][16] to `out`.
void emitMatMat(HostEmitter &e, const TileMatrix &matrix, const ActBuffer &act, mlir::Value firstStrip,
                const MatmulVariant &variant, mlir::Value out);

/// y[16 rows of `strip`] = unit * scale * sum over columns c of integer(row, c) * t[c] for one token; `t` points to f32
/// [columns], readable up to a multiple of 4.
mlir::Value emitExpandOne(HostEmitter &e, const TileMatrix &matrix, mlir::Value strip, mlir::Value t);

/// The same for `tokens` rows of t, `tokenStride` bytes apart: writes f32 [tokens][16] to `out`.
void emitExpandMany(HostEmitter &e, const TileMatrix &matrix, mlir::Value strip, mlir::Value t, int64_t tokens,
                    int64_t tokenStride, mlir::Value out);

} // namespace qlr

#endif // QLR_CODEGEN_HOST_TILEMATMUL_H
