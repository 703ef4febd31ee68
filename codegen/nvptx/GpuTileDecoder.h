// Decoding of tiles of 16 rows x 4 columns on a GPU: a thread holds a whole tile in registers.
#ifndef QLR_CODEGEN_NVPTX_GPUTILEDECODER_H
#define QLR_CODEGEN_NVPTX_GPUTILEDECODER_H

#include "codegen/nvptx/GpuEmitter.h"
#include "dialect/Qlr.h"

#include <array>

namespace qlr {

/// What a tile's rows become.
enum class TileForm {
  Bytes, ///< int8 x 4 in an i32: operands of dp4a and of mma.m16n8k32
  Halves ///< f16 x 2 in an i32, twice: operands of mma.m16n8k16
};

class GpuTileDecoder {
public:
  GpuTileDecoder(unsigned bits, unsigned window) : bits(bits), window(window) {}
  virtual ~GpuTileDecoder() = default;

  /// Bits of a weight; bits that decide it, of which its own are the last.
  const unsigned bits, window;
  /// The codec's level table in the weights arena (dialect/Layout.h), null for codecs without. Set before any use.
  mlir::Value levels;
  int64_t tileBytes() const { return 8 * bits; }
  int64_t words() const { return 2 * bits; }

  /// Bytes of shared memory its tables take in `form`.
  virtual int64_t tableBytes(TileForm form) const { return 0; }
  /// Fills the tables, all threads of the block together, before a barrier of the caller.
  virtual void prepare(GpuEmitter &e, TileForm form) {}

  /// The tile's words, by streaming loads as wide as the codec's alignment allows: tiles of 2^n words are aligned to
  /// their size or 16 bytes, those of 3 bits to 8.
  llvm::SmallVector<mlir::Value> load(GpuEmitter &e, mlir::Value address) const;

  /// 16 registers (Bytes) or 32 (Halves: columns 0, 1 then 2, 3 of each row). Values are integers: the weight is the
  /// integer times unit() times the row's scale.
  virtual llvm::SmallVector<mlir::Value> rows(GpuEmitter &e, llvm::ArrayRef<mlir::Value> words, TileForm form) = 0;

  /// The integers (i32) of row `row` (i32, known at run time) of the tile at `address`, without tables: for the reader
  /// of a single row.
  std::array<mlir::Value, 4> row(GpuEmitter &e, mlir::Value address, mlir::Value row);

  /// The integer (i32) that `window` bits (i32) stand for.
  virtual mlir::Value levelOf(GpuEmitter &e, mlir::Value windowBits) = 0;

  /// f32 factor of all weights.
  virtual mlir::Value unit(GpuEmitter &e) = 0;
};

/// Decoders by look-up: windows of `window` bits that end with a weight's own bits (a window of `bits` is the code
/// itself), k weights at a time, k = 4 or 2.
class GpuLutDecoder : public GpuTileDecoder {
public:
  /// `copies`: how often each entry stands in the table: 32 puts a copy into every bank, so that no two lanes meet.
  GpuLutDecoder(unsigned bits, unsigned window, unsigned weights, unsigned copies)
      : GpuTileDecoder(bits, window), weights(weights), copies(copies) {}

  int64_t tableBytes(TileForm form) const override;
  void prepare(GpuEmitter &e, TileForm form) override;
  llvm::SmallVector<mlir::Value> rows(GpuEmitter &e, llvm::ArrayRef<mlir::Value> words, TileForm form) override;

private:
  int64_t indexBits() const { return window + (weights - 1) * bits; }
  /// What the table holds in `form`: a table for four weights holds bytes in any case.
  int64_t entryBytes(TileForm form) const;
  mlir::Value lookUp(GpuEmitter &e, llvm::ArrayRef<mlir::Value> words, int64_t firstWeight, TileForm form);

  const unsigned weights, copies;
  mlir::Value table;
};

/// `count` bits from bit `start` on (modulo the tile's), times 2^`scale`: a shift or funnel shift, and a mask.
mlir::Value tileBits(GpuEmitter &e, llvm::ArrayRef<mlir::Value> words, int64_t start, int64_t count, int64_t scale);

/// int8 x 4 to two registers of f16 x 2, exactly.
std::pair<mlir::Value, mlir::Value> bytesToHalves(GpuEmitter &e, mlir::Value bytes);

/// Attaches the GPU decoders to the codec attributes.
void registerGpuCodecs(mlir::DialectRegistry &registry);

} // namespace qlr

#include "codegen/nvptx/GpuCodecInterface.h.inc"

#endif // QLR_CODEGEN_NVPTX_GPUTILEDECODER_H
