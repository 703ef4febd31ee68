//===- Codec.h - what the bytes of a compressed weight mean ---------------===//
//
// Weights are stored in tiles of 16 rows x 4 columns: weight i of a tile is row i/4, column i%4. Bit j of a tile is bit
// j%8 of its byte j/8. Tiles of a strip of 16 rows follow one another; strips follow one another; rows are padded to 16
// and columns to 4. A codec says what the 64 weights of one tile are; everything around it is the same for all codecs.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qlr {

constexpr unsigned tileRows = 16;
constexpr unsigned tileColumns = 4;
constexpr unsigned tileWeights = tileRows * tileColumns;

/// Bit `j` of a tile.
inline unsigned tileBit(const uint8_t *tile, unsigned j) { return (tile[j / 8] >> (j % 8)) & 1u; }

/// The `bits` bits of weight `i`, the first the least significant.
inline unsigned tileField(const uint8_t *tile, unsigned bits, unsigned i) {
  unsigned value = 0;
  for (unsigned k = 0; k < bits; ++k)
    value |= tileBit(tile, bits * i + k) << k;
  return value;
}

/// Writes the fields of all 64 weights: the inverse of tileField. `tile` has 8 * bits bytes.
void packTile(const uint8_t fields[tileWeights], unsigned bits, uint8_t *tile);

/// The numbers of strips and column tiles that hold `rows` x `columns`.
inline uint64_t stripCount(uint64_t rows) { return (rows + tileRows - 1) / tileRows; }
inline uint64_t columnTileCount(uint64_t columns) { return (columns + tileColumns - 1) / tileColumns; }
inline uint64_t paddedRowCount(uint64_t rows) { return stripCount(rows) * tileRows; }

/// One codec: stateless, alive for the whole program, found by name.
class Codec {
public:
  virtual ~Codec() = default;

  /// The name in configurations, checkpoints and IR: `int4g64`, `trellis2`, `bf16`.
  const std::string &name() const { return codecName; }
  /// Bits of a weight (without scales).
  virtual unsigned bits() const = 0;
  /// Bits of a trellis window; 0 for other families.
  virtual unsigned window() const { return 0; }
  /// Columns that share a scale; 0 = one scale a row.
  virtual unsigned group() const { return 0; }
  /// Plain rows of floats: no tiles, no scales.
  virtual bool isFloat() const { return false; }
  /// Bits of the activations that meet this codec: 8, 16, or 0 for fp32.
  virtual unsigned activationBits() const = 0;
  /// Entries of the level table; 0 when there is none.
  virtual unsigned levelCount() const { return 0; }
  /// Bytes of a tile; 0 for floats.
  virtual unsigned tileBytes() const { return 8 * bits(); }

  /// The 64 weights of a tile as integers. `levels` has levelCount() entries (unused when that is 0).
  /// A weight is out[i] * unit(levelUnit) * scale. Throws Error for floats, which have no tiles.
  virtual void decodeTile(const uint8_t *tile, const int8_t *levels, int16_t out[tileWeights]) const = 0;
  /// What one step of decodeTile's integers is worth before the scale; `levelUnit` is the table's unit.
  virtual double unit(double levelUnit) const = 0;

  /// Scales of a row of `columns`.
  uint64_t groupCount(uint64_t columns) const { return group() == 0 ? 1 : (columns + group() - 1) / group(); }
  /// Bytes of the codes (floats: of the plain rows).
  uint64_t codeBytes(uint64_t rows, uint64_t columns) const;
  /// Bytes of the F16 scales (floats: 0).
  uint64_t scaleBytes(uint64_t rows, uint64_t columns) const;

  /// The codec of that name; throws Error that lists the known ones.
  static const Codec &get(std::string_view name);
  /// Null when there is none of that name.
  static const Codec *find(std::string_view name);
  static std::vector<const Codec *> all();

protected:
  explicit Codec(std::string name) : codecName(std::move(name)) {}

private:
  std::string codecName;
};

/// Refuses a level table of the wrong length or with -128 in it, naming file and tensor.
void checkLevels(const Codec &codec, std::span<const int8_t> levels, const std::string &file,
                 const std::string &tensor);

/// A family registers its codecs here. Every `<Family>Codec.cpp` of this folder defines
/// `void register<Family>Codec(const RegisterCodec &)`; the build collects them, there is no list to edit.
using RegisterCodec = std::function<void(std::unique_ptr<Codec>)>;

} // namespace qlr
