// Decoding one tile of 64 weights to 64 int8 lanes: what a codec brings to every host kernel.
#ifndef QLR_CODEGEN_HOST_TILEDECODER_H
#define QLR_CODEGEN_HOST_TILEDECODER_H

#include "codegen/host/HostEmitter.h"

#include "mlir/IR/DialectRegistry.h"

#include <memory>

namespace qlr {

/// Lane 4r + c of a decoded tile is the weight of row r, column c, as an integer `lane` with
///     Codec::decodeTile's value = factor * lane - zero.
/// On AVX-512 lanes are unsigned (vpdpbusd takes u8 weights), on AVX2 signed with factor 1 and zero 0.
class TileDecoder {
public:
  explicit TileDecoder(unsigned tileBytes) : tileBytes(tileBytes) {}
  virtual ~TileDecoder() = default;

  const unsigned tileBytes;

  /// Emits what stays the same for a whole kernel (tables, index vectors). `levels` is null for codecs without a table.
  virtual void prepare(HostEmitter &e, mlir::Value levels) = 0;
  /// The affine map above; AVX2 decoders return {1, 0}.
  virtual int64_t factor(CpuLevel level) const = 0;
  virtual int64_t zero(CpuLevel level) const = 0;
  /// f32 scalar: what one step of decodeTile's integers is worth before the row's scale.
  virtual mlir::Value unit(HostEmitter &e) = 0;

  /// `count` consecutive tiles at `address`: vector<64xi8> each. Reads up to 63 bytes beyond the last tile.
  llvm::SmallVector<mlir::Value> decode(HostEmitter &e, mlir::Value address, unsigned count);

protected:
  /// Lanes of tile `index` of a loaded chunk; a chunk is a vector<64xi8> that begins with a tile.
  virtual mlir::Value lanes(HostEmitter &e, mlir::Value chunk, unsigned index) = 0;
};

/// The bit windows of a tile of `bits`-bit weights: window i is `window` bits that end with weight i's last bit,
/// indices modulo the tile's size. Lanes hold a window each; bits above it are not cleared on AVX-512.
class WindowExtractor {
public:
  WindowExtractor(unsigned bits, unsigned window) : bits(bits), window(window) {}
  void prepare(HostEmitter &e);
  mlir::Value extract(HostEmitter &e, mlir::Value chunk, unsigned index);

private:
  const unsigned bits, window;
  llvm::SmallVector<llvm::SmallVector<int64_t>> spread; // one byte shuffle per tile of a chunk
  llvm::SmallVector<mlir::Value> control;               // AVX-512: multishift counts; AVX2: powers of two per weight
};

/// Registers the codec families' external models. Every `<Family>HostCodec.cpp` of this folder defines
/// `void register<Family>HostCodec(mlir::DialectRegistry &)`; the build collects them, there is no list to edit.
void registerHostCodecs(mlir::DialectRegistry &registry);

} // namespace qlr

#include "codegen/host/HostCodecInterface.h.inc"

#endif // QLR_CODEGEN_HOST_TILEDECODER_H
