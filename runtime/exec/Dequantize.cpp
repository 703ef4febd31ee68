#include "runtime/exec/Dequantize.h"

#include "runtime/format/Error.h"
#include "runtime/format/Half.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

namespace qlr {
namespace {

/// Multiplies the blocks of `row` by the Sylvester-Hadamard matrix over the root of its size.
void transformRow(float *row, uint64_t columns, uint32_t block) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(block));
  for (uint64_t start = 0; start < columns; start += block) {
    float *x = row + start;
    for (uint32_t half = 1; half < block; half *= 2)
      for (uint32_t i = 0; i < block; i += 2 * half)
        for (uint32_t j = i; j < i + half; ++j) {
          float a = x[j], b = x[j + half];
          x[j] = a + b;
          x[j + half] = a - b;
        }
    for (uint32_t i = 0; i < block; ++i)
      x[i] *= scale;
  }
}

double readUnit(const Checkpoint &checkpoint, const std::string &tensor) {
  std::optional<std::string> text = checkpoint.metadata(tensor + ".unit");
  char *end = nullptr;
  double unit = text ? std::strtod(text->c_str(), &end) : 0;
  if (!text || text->empty() || *end || !(unit > 0) || !std::isfinite(unit))
    fail({.file = checkpoint.file(tensor).path(),
          .tensor = tensor + ".unit",
          .found = text ? "'" + *text + "'" : "nothing in the metadata",
          .expected = "a positive number"});
  return unit;
}

} // namespace

CodedMatrix::CodedMatrix(const Checkpoint &checkpoint, const std::string &prefix, const Codec &theCodec,
                         uint64_t rowCount, uint64_t columnCount)
    : codec(theCodec), rows(rowCount), columns(columnCount) {
  checkpoint.require(prefix + ".codes", DType::U8, {stripCount(rows), columnTileCount(columns), codec.tileBytes()});
  std::vector<uint64_t> scaleShape = {paddedRowCount(rows)};
  if (codec.group())
    scaleShape.push_back(codec.groupCount(columns));
  checkpoint.require(prefix + ".scales", DType::F16, scaleShape);
  codes = checkpoint.data(prefix + ".codes");
  scaleBytes = checkpoint.data(prefix + ".scales");
  if (codec.levelCount()) {
    std::string tensor = "levels." + codec.name();
    checkpoint.require(tensor, DType::I8, {codec.levelCount()});
    levels = reinterpret_cast<const int8_t *>(checkpoint.data(tensor).data());
    checkLevels(codec, {levels, codec.levelCount()}, checkpoint.file(tensor).path(), tensor);
    unit = codec.unit(readUnit(checkpoint, tensor));
  } else {
    unit = codec.unit(1);
  }
}

void CodedMatrix::decodeStrip(uint64_t strip, std::vector<float> &out) const {
  out.assign(tileRows * columns, 0.0f);
  const uint64_t tiles = columnTileCount(columns), groups = codec.groupCount(columns);
  const uint8_t *tile = reinterpret_cast<const uint8_t *>(codes.data()) + strip * tiles * codec.tileBytes();
  std::vector<float> scales(tileRows * groups);
  for (size_t i = 0; i < scales.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, scaleBytes.data() + 2 * (strip * tileRows * groups + i), 2);
    scales[i] = f16ToF32(half);
  }
  for (uint64_t t = 0; t < tiles; ++t, tile += codec.tileBytes()) {
    int16_t values[tileWeights];
    codec.decodeTile(tile, levels, values);
    for (unsigned row = 0; row < tileRows; ++row)
      for (unsigned c = 0; c < tileColumns; ++c) {
        uint64_t column = t * tileColumns + c;
        if (column >= columns)
          break;
        float scale = scales[row * groups + (codec.group() ? column / codec.group() : 0)];
        out[row * columns + column] = static_cast<float>(values[row * tileColumns + c] * unit * scale);
      }
  }
}

StoredLinear::StoredLinear(const Checkpoint &checkpoint, const std::string &name, const ModuleQuant &quant)
    : rows(quant.shape[0]), columns(quant.shape[1]),
      q(checkpoint, name + ".q", Codec::get(quant.codec), quant.shape[0], quant.shape[1]), rank(quant.rank),
      rotation(quant.rotation) {
  if (rank) {
    const Codec &factors = Codec::get(quant.factors);
    l.emplace_back(checkpoint, name + ".l", factors, rows, rank);
    CodedMatrix right(checkpoint, name + ".r", factors, rank, columns);
    factorBytes = l[0].bytes() + right.bytes();
    std::vector<float> strip;
    for (uint64_t s = 0; s < stripCount(rank); ++s) {
      right.decodeStrip(s, strip);
      r.insert(r.end(), strip.begin(), strip.end());
    }
  }
  if (rotation) {
    std::string tensor = quant.input + ".signs";
    checkpoint.require(tensor, DType::U8, {(columns + 7) / 8});
    signs = checkpoint.data(tensor);
  }
}

uint64_t StoredLinear::bytes() const { return q.bytes() + factorBytes; }

void StoredLinear::addLowRank(uint64_t strip, std::vector<float> &out) const {
  std::vector<float> left;
  l[0].decodeStrip(strip, left);
  for (unsigned row = 0; row < tileRows; ++row)
    for (uint32_t k = 0; k < rank; ++k) {
      const float factor = left[row * rank + k];
      const float *from = r.data() + k * columns;
      float *to = out.data() + row * columns;
      for (uint64_t c = 0; c < columns; ++c)
        to[c] += factor * from[c];
    }
}

void StoredLinear::undoRotation(std::vector<float> &out) const {
  for (unsigned row = 0; row < tileRows; ++row) {
    float *x = out.data() + row * columns;
    transformRow(x, columns, rotation);
    for (uint64_t c = 0; c < columns; ++c)
      if (std::to_integer<unsigned>(signs[c / 8]) >> (c % 8) & 1)
        x[c] = -x[c];
  }
}

void StoredLinear::decodeStrip(uint64_t strip, std::vector<float> &out) const {
  q.decodeStrip(strip, out);
  if (rank)
    addLowRank(strip, out);
  if (rotation)
    undoRotation(out);
}

} // namespace qlr
