// Products of a strip group with quantized activations: the inner loops of a GPU kernel.
#ifndef QLR_CODEGEN_NVPTX_GPUPRODUCT_H
#define QLR_CODEGEN_NVPTX_GPUPRODUCT_H

#include "codegen/nvptx/GpuTileDecoder.h"
#include "dialect/Layout.h"

#include <memory>

namespace qlr {

/// A tiled matrix in the weights arena: q, r or l of a weight.
struct GpuMatrix {
  int64_t rows, columns, group; ///< group: columns that share a scale; 0: one scale a row
  unsigned activationBits;      ///< 8 or 16
  std::shared_ptr<GpuTileDecoder> decoder;
  mlir::Value codes, scales; ///< global pointers

  int64_t strips() const { return (rows + 15) / 16; }
  int64_t columnTiles() const { return (columns + 3) / 4; }
  int64_t stripBytes() const { return columnTiles() * decoder->tileBytes(); }
  int64_t groups() const { return group ? (columns + group - 1) / group : 1; }
  int64_t blocks() const { return (columns + 127) / 128; } ///< of 128 columns
};

/// Quantized activations in memory.
struct GpuAct {
  int64_t tokens;
  ActLayout layout;
  mlir::Value base; ///< global pointer
};

/// How a product is computed.
enum class Multiply {
  Dp4a, ///< CUDA cores: int8 dot products, one or two tokens
  Imma, ///< tensor cores, int8 operands: up to 8 tokens as the operand's columns; beyond, tiles pass through shared
        ///< memory
  Hmma  ///< tensor cores, f16 operands, for tables of f16: up to 8 tokens
};
std::optional<Multiply> parseMultiply(llvm::StringRef name);

struct GpuVariant {
  Multiply multiply = Multiply::Imma;
  int64_t strips = 8; ///< of an item: 8 with tensor cores, 4 with dp4a
  int64_t splits = 1; ///< items that share a strip group, each with its part of the columns
};

/// The form tiles are decoded to for `multiply`.
inline TileForm formOf(Multiply multiply) { return multiply == Multiply::Hmma ? TileForm::Halves : TileForm::Bytes; }

/// Strips an item covers and tokens it can take at a time.
constexpr int64_t stripsOf(Multiply multiply) { return multiply == Multiply::Dp4a ? 4 : 8; }
constexpr int64_t maxTokensOf(Multiply multiply) {
  return multiply == Multiply::Dp4a ? 2 : multiply == Multiply::Imma ? 128 : 8;
}

/// The blocks of 128 columns [first, end) that one of the item's splits covers; i32 values.
struct BlockRange {
  mlir::Value first, end;
};

/// Sums over `range` of strips firstStrip ... (clamped to the last one; what rows beyond get is unspecified but
/// readable) into `out`: shared f32 [tokens][16 * strips], visible to the whole block on return. Scales of activations
/// are applied, those of groups too; row scales and the codec's unit are not.
/// All threads of the block take part. `out` is productBytes() long and the last shared memory taken.
void emitProduct(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, mlir::Value firstStrip,
                 const BlockRange &range, const GpuVariant &variant, mlir::Value out);

/// Bytes of shared memory that the result takes, or more where operands pass through the same memory.
int64_t productBytes(const GpuMatrix &matrix, const GpuVariant &variant, int64_t tokens);

// The three ways, one file each.
void emitDp4a(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, mlir::Value firstStrip,
              const BlockRange &range, mlir::Value out);
void emitWarpMma(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, mlir::Value firstStrip,
                 const BlockRange &range, Multiply multiply, mlir::Value out);
/// `out` is at least blockMmaBytes() long: tiles and activations pass through the same memory.
void emitBlockMma(GpuEmitter &e, const GpuMatrix &matrix, const GpuAct &act, mlir::Value firstStrip,
                  const BlockRange &range, mlir::Value out);

int64_t blockMmaBytes(const GpuMatrix &matrix, int64_t tokens);

/// y[token][row] += sum over columns of matrix[row][column] * t[token][column] in fp32, for the item's strips, with all
/// scales: the L factor. `y`: shared f32 [tokens][16 * strips]; `t`: address of column 0 of token 0, `tStride` floats
/// from token to token, one pointer per strip of the item through `tOf(strip)`.
void emitExpand(GpuEmitter &e, const GpuMatrix &matrix, mlir::Value firstStrip, int64_t strips, int64_t tokens,
                llvm::function_ref<mlir::Value(mlir::Value strip)> tOf, int64_t tStride, mlir::Value y);

/// Bytes of shared memory that emitExpand takes.
int64_t expandBytes(const GpuMatrix &matrix, int64_t strips);

/// Plain rows of bf16 or f32 times f32 activations, `strips` strips from `firstStrip`: `weights` rows x columns without
/// padding, `x` f32 with `xStride` floats from token to token. Into `out`: shared f32 [tokens][16 * strips].
void emitFloatProduct(GpuEmitter &e, mlir::Type element, mlir::Value weights, int64_t rows, int64_t columns,
                      mlir::Value x, int64_t xStride, int64_t tokens, mlir::Value firstStrip, int64_t strips,
                      mlir::Value out);

/// f32 scale of row `row` of strip `strip` for `group` (i32 values), times the codec's unit.
mlir::Value rowScale(GpuEmitter &e, const GpuMatrix &matrix, mlir::Value strip, mlir::Value row, mlir::Value group);

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_GPUPRODUCT_H
