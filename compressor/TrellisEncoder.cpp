//===- TrellisEncoder.cpp - the tile trellis codecs -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compressor/Encoder.h"
#include "compressor/TrellisLevels.h"
#include "compressor/TrellisSearch.h"

namespace qlr {
namespace {

class TrellisEncoder final : public Encoder {
public:
  explicit TrellisEncoder(const Codec &codec)
      : Encoder(codec), table(trellisLevels(codec.bits(), codec.window())),
        search(codec.bits(), codec.window(), table.values()) {}

  std::span<const int8_t> levels() const override { return table.levels; }
  double levelUnit() const override { return table.unit; }

  /// The levels are made for unit variance.
  void startScales(const float *weights, size_t rows, size_t columns, float *scales) const override {
    for (size_t r = 0; r < rows; ++r)
      scales[r] = static_cast<float>(rootMeanSquare(weights + r * columns, columns));
  }

  void encode(const float *targets, size_t tiles, uint8_t *codes, float *values) const override {
    std::vector<uint8_t> windows(tiles * tileWeights);
    search.search(targets, tiles, windows.data());
    for (size_t t = 0; t < tiles; ++t)
      search.pack(windows.data() + t * tileWeights, codes + t * codec().tileBytes());
    for (size_t i = 0; i < windows.size(); ++i)
      values[i] = search.levels()[windows[i]];
  }

private:
  const TrellisLevels &table;
  TrellisSearch search;
};

} // namespace

std::unique_ptr<Encoder> makeTrellisEncoder(const Codec &codec) {
  if (codec.window() == 0)
    return nullptr;
  return std::make_unique<TrellisEncoder>(codec);
}

} // namespace qlr
