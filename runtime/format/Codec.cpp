#include "runtime/format/Codec.h"
#include "CodecFamilies.h" // generated: declares and calls every register<Family>Codec
#include "runtime/format/Error.h"

#include <algorithm>
#include <cstring>

namespace qlr {

static const std::vector<std::unique_ptr<Codec>> &registry() {
  static const std::vector<std::unique_ptr<Codec>> codecs = [] {
    std::vector<std::unique_ptr<Codec>> list;
    registerCodecFamilies([&](std::unique_ptr<Codec> codec) { list.push_back(std::move(codec)); });
    std::sort(list.begin(), list.end(), [](const auto &a, const auto &b) { return a->name() < b->name(); });
    return list;
  }();
  return codecs;
}

const Codec *Codec::find(std::string_view name) {
  for (const auto &codec : registry())
    if (codec->name() == name)
      return codec.get();
  return nullptr;
}

const Codec &Codec::get(std::string_view name) {
  if (const Codec *codec = find(name))
    return *codec;
  std::string known;
  for (const auto &codec : registry())
    known += (known.empty() ? "" : ", ") + codec->name();
  fail({.found = "codec \"" + std::string(name.substr(0, 64)) + "\"", .expected = "one of " + known});
}

std::vector<const Codec *> Codec::all() {
  std::vector<const Codec *> list;
  for (const auto &codec : registry())
    list.push_back(codec.get());
  return list;
}

uint64_t Codec::codeBytes(uint64_t rows, uint64_t columns) const {
  if (isFloat())
    return rows * columns * (bits() / 8);
  return stripCount(rows) * columnTileCount(columns) * tileBytes();
}

uint64_t Codec::scaleBytes(uint64_t rows, uint64_t columns) const {
  return isFloat() ? 0 : paddedRowCount(rows) * groupCount(columns) * 2;
}

void packTile(const uint8_t fields[tileWeights], unsigned bits, uint8_t *tile) {
  std::memset(tile, 0, 8 * bits);
  for (unsigned i = 0; i < tileWeights; ++i)
    for (unsigned k = 0; k < bits; ++k)
      if ((fields[i] >> k) & 1u) {
        unsigned j = bits * i + k;
        tile[j / 8] = static_cast<uint8_t>(tile[j / 8] | (1u << (j % 8)));
      }
}

void checkLevels(const Codec &codec, std::span<const int8_t> levels, const std::string &file,
                 const std::string &tensor) {
  if (levels.size() != codec.levelCount())
    fail({.file = file,
          .tensor = tensor,
          .found = std::to_string(levels.size()) + " levels",
          .expected = std::to_string(codec.levelCount()) + " for " + codec.name()});
  for (size_t i = 0; i < levels.size(); ++i)
    if (levels[i] == -128)
      fail({.file = file,
            .tensor = tensor,
            .found = "level -128 at " + std::to_string(i),
            .expected = "levels from -127 to 127",
            .advice = "the table is damaged: compress again"});
}

} // namespace qlr
