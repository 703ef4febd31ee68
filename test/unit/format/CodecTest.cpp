#include "runtime/format/Codec.h"
#include "test/unit/format/TestSupport.h"

#include <algorithm>
#include <array>

using namespace qlr;
using namespace qlr::test;

namespace {

std::array<int16_t, 64> decode(const Codec &codec, const std::vector<uint8_t> &tile,
                               const std::vector<int8_t> &levels) {
  std::array<int16_t, 64> out;
  codec.decodeTile(tile.data(), levels.data(), out.data());
  return out;
}

/// The fields of a tile by division: the tile as one little-endian number in base 2^bits.
std::vector<unsigned> fieldsByDivision(std::vector<uint8_t> tile, unsigned bits) {
  std::vector<unsigned> fields;
  for (unsigned i = 0; i < 64; ++i) {
    unsigned remainder = 0;
    for (size_t j = tile.size(); j-- > 0;) {
      unsigned value = remainder * 256 + tile[j];
      tile[j] = static_cast<uint8_t>(value >> bits);
      remainder = value & ((1u << bits) - 1);
    }
    fields.push_back(remainder);
  }
  return fields;
}

TEST(Codec, NamesAndProperties) {
  std::vector<std::string> names;
  for (const Codec *codec : Codec::all())
    names.push_back(codec->name());
  std::vector<std::string> expected = {"bf16",     "f32",        "trellis2", "trellis2w8",
                                       "trellis3", "trellis3w8", "trellis4", "trellis4w8"};
  for (std::string bits : {"int2", "int3", "int4", "int8"})
    for (std::string group : {"", "g32", "g64", "g128"})
      expected.push_back(bits + group);
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(names, expected);

  const Codec &trellis = Codec::get("trellis3w8");
  EXPECT_EQ(trellis.bits(), 3u);
  EXPECT_EQ(trellis.window(), 8u);
  EXPECT_EQ(trellis.levelCount(), 256u);
  EXPECT_EQ(trellis.tileBytes(), 24u);
  EXPECT_EQ(trellis.activationBits(), 8u);
  EXPECT_EQ(trellis.unit(0.031), 0.031);
  EXPECT_EQ(Codec::get("trellis2").levelCount(), 128u);
  EXPECT_EQ(Codec::get("trellis4").activationBits(), 16u);
  EXPECT_EQ(Codec::get("int8").activationBits(), 16u);
  EXPECT_EQ(Codec::get("int3").activationBits(), 8u);
  EXPECT_EQ(Codec::get("bf16").activationBits(), 0u);
  EXPECT_EQ(Codec::get("int4g64").group(), 64u);
  EXPECT_EQ(Codec::get("int4").unit(7), 0.5);
  EXPECT_EQ(Codec::get("int8").unit(7), 1.0);
}

TEST(Codec, SizesWithTails) {
  const Codec &codec = Codec::get("int4g64");
  EXPECT_EQ(codec.codeBytes(17, 65), 2u * 17 * 32);
  EXPECT_EQ(codec.scaleBytes(17, 65), 32u * 2 * 2);
  EXPECT_EQ(Codec::get("trellis2").codeBytes(16, 4), 16u);
  EXPECT_EQ(Codec::get("trellis2").scaleBytes(1, 1000), 32u);
  EXPECT_EQ(Codec::get("bf16").codeBytes(17, 65), 17u * 65 * 2);
  EXPECT_EQ(Codec::get("f32").scaleBytes(17, 65), 0u);
}

TEST(Codec, UnknownNameListsTheKnownOnes) {
  std::string message = errorOf([] { Codec::get("int5"); });
  expectContains(message, "int5");
  expectContains(message, "trellis2w8");
}

TEST(Codec, HandMadeTiles) {
  // int2: byte 0 holds row 0, its lowest two bits column 0.
  std::vector<uint8_t> tile(16, 0);
  tile[0] = 0b11'10'01'00;
  auto out = decode(Codec::get("int2"), tile, {});
  EXPECT_EQ(out[0], -3);
  EXPECT_EQ(out[1], -1);
  EXPECT_EQ(out[2], 1);
  EXPECT_EQ(out[3], 3);
  EXPECT_EQ(out[4], -3);
  // int3: weight 2 owns bits 6, 7 and 8.
  tile.assign(24, 0);
  tile[0] = 0x40;
  tile[1] = 0x01;
  EXPECT_EQ(decode(Codec::get("int3"), tile, {})[2], 2 * 5 - 7);
  tile.assign(64, 128);
  tile[5] = 1;
  tile[6] = 255;
  out = decode(Codec::get("int8"), tile, {});
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[5], -127);
  EXPECT_EQ(out[6], 127);
  // trellis2: weight 0's window wraps: bits 123 .. 127 are its lowest five, bits 0 and 1 its highest two.
  std::vector<int8_t> levels(128);
  for (unsigned i = 0; i < 128; ++i)
    levels[i] = static_cast<int8_t>(i);
  tile.assign(16, 0);
  tile[0] = 0b10;
  tile[15] = 0b1000'0000 | 0b0000'1000;
  out = decode(Codec::get("trellis2"), tile, levels);
  EXPECT_EQ(out[0], 64 + 16 + 1);
  EXPECT_EQ(out[1], 16 + 4);
  EXPECT_EQ(out[2], 4 + 1);
}

TEST(Codec, IntegersAgainstDivision) {
  std::mt19937 random(1);
  for (const Codec *codec : Codec::all()) {
    if (codec->isFloat() || codec->window() != 0)
      continue;
    for (int round = 0; round < 50; ++round) {
      std::vector<uint8_t> tile(codec->tileBytes());
      for (uint8_t &byte : tile)
        byte = static_cast<uint8_t>(random());
      auto fields = fieldsByDivision(tile, codec->bits());
      auto out = decode(*codec, tile, {});
      std::vector<uint8_t> packed(tile.size());
      std::array<uint8_t, 64> narrow;
      for (unsigned i = 0; i < 64; ++i) {
        // Value = (2q - 2^b + 1) / 2 for 2 to 4 bits; q - 128 for 8.
        double value = codec->bits() == 8 ? fields[i] - 128.0 : (2.0 * fields[i] - (1 << codec->bits()) + 1) / 2;
        EXPECT_EQ(out[i] * codec->unit(0), value) << codec->name() << " weight " << i;
        narrow[i] = static_cast<uint8_t>(fields[i]);
      }
      packTile(narrow.data(), codec->bits(), packed.data());
      EXPECT_EQ(packed, tile);
    }
  }
}

/// The trellis as a shift register: each weight shifts its bits in at the top of an L-bit state; the start state is
/// what going through the whole tile leaves behind.
TEST(Codec, TrellisAgainstShiftRegister) {
  std::mt19937 random(2);
  for (const Codec *codec : Codec::all()) {
    unsigned length = codec->window(), bits = codec->bits();
    if (length == 0)
      continue;
    for (int round = 0; round < 50; ++round) {
      std::vector<uint8_t> tile(codec->tileBytes());
      for (uint8_t &byte : tile)
        byte = static_cast<uint8_t>(random());
      std::vector<int8_t> levels(codec->levelCount());
      for (int8_t &level : levels)
        level = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
      auto fields = fieldsByDivision(tile, bits);
      auto out = decode(*codec, tile, levels);
      unsigned state = 0;
      for (int pass = 0; pass < 2; ++pass)
        for (unsigned i = 0; i < 64; ++i) {
          state = state >> bits | fields[i] << (length - bits);
          if (pass == 1) {
            EXPECT_EQ(out[i], levels[state]) << codec->name() << " weight " << i;
          }
        }
    }
  }
}

TEST(Codec, LevelTablesAreChecked) {
  const Codec &codec = Codec::get("trellis2");
  std::vector<int8_t> levels(128, 5);
  checkLevels(codec, levels, "f", "levels.trellis2");
  levels[7] = -128;
  expectContains(errorOf([&] { checkLevels(codec, levels, "f", "levels.trellis2"); }), "f: levels.trellis2: found");
  levels.pop_back();
  expectContains(errorOf([&] { checkLevels(codec, levels, "f", "levels.trellis2"); }), "127 levels");
}

TEST(Codec, FloatsHaveNoTiles) {
  int16_t out[64];
  EXPECT_THROW(Codec::get("f32").decodeTile(nullptr, nullptr, out), Error);
}

} // namespace
