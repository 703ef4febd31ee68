// 16-bit floats, hashes, and the shape of messages.
#include "runtime/format/Half.h"
#include "runtime/format/Hash.h"
#include "test/unit/format/TestSupport.h"

#include <cmath>

using namespace qlr;
using namespace qlr::test;

namespace {

/// f16 from its definition.
double f16Value(uint16_t h) {
  int exponent = (h >> 10) & 31, fraction = h & 1023;
  double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return h & 0x8000 ? -magnitude : magnitude;
}

TEST(Half, EveryF16) {
  for (uint32_t h = 0; h < 65536; ++h) {
    auto half = static_cast<uint16_t>(h);
    float value = f16ToF32(half);
    if ((h & 0x7c00) == 0x7c00) {
      EXPECT_EQ(std::isnan(value), (h & 0x3ff) != 0);
      EXPECT_EQ(std::isinf(value), (h & 0x3ff) == 0);
    } else {
      EXPECT_EQ(static_cast<double>(value), f16Value(half));
    }
    if (!std::isnan(value))
      EXPECT_EQ(f32ToF16(value), half);
    else
      EXPECT_TRUE(std::isnan(f16ToF32(f32ToF16(value))));
  }
}

TEST(Half, F16RoundsToNearestEven) {
  for (uint16_t h = 0; h < 0x7bff; ++h) {
    float low = f16ToF32(h), high = f16ToF32(static_cast<uint16_t>(h + 1)), middle = (low + high) / 2;
    EXPECT_EQ(f32ToF16(middle), h & 1 ? h + 1 : h);
    EXPECT_EQ(f32ToF16(std::nextafter(middle, low)), h);
    EXPECT_EQ(f32ToF16(std::nextafter(middle, high)), h + 1);
    EXPECT_EQ(f32ToF16(-middle), 0x8000 | (h & 1 ? h + 1 : h));
  }
  EXPECT_EQ(f32ToF16(65519.996f), 0x7bff);
  EXPECT_EQ(f32ToF16(65520.0f), 0x7c00);
  EXPECT_EQ(f32ToF16(-1e30f), 0xfc00);
}

TEST(Half, Bf16) {
  for (uint32_t h = 0; h < 65536; ++h) {
    auto half = static_cast<uint16_t>(h);
    float value = bf16ToF32(half);
    if (!std::isnan(value))
      EXPECT_EQ(f32ToBf16(value), half);
    else
      EXPECT_TRUE(std::isnan(bf16ToF32(f32ToBf16(value))));
  }
  EXPECT_EQ(f32ToBf16(1.00390625f), 0x3f80); // halfway between 1 and the next: to even
  EXPECT_EQ(f32ToBf16(1.01171875f), 0x3f82);
  EXPECT_EQ(f32ToBf16(3.4e38f), 0x7f80);
}

TEST(Hash, PublishedValues) {
  EXPECT_EQ(xxh64Hex(asBytes("")), "ef46db3751d8e999");
  EXPECT_EQ(xxh64Hex(asBytes("abc")), "44bc2cf5ad770999");
  Hasher hasher;
  hasher.update(asBytes("a"));
  hasher.update(asBytes(""));
  hasher.update(asBytes("bc"));
  EXPECT_EQ(hex64(hasher.digest()), "44bc2cf5ad770999");
  hasher.reset();
  EXPECT_EQ(hex64(hasher.digest()), "ef46db3751d8e999");
  EXPECT_EQ(hex64(1), "0000000000000001");
}

TEST(Error, Parts) {
  EXPECT_EQ(formatError({.file = "f", .tensor = "t", .found = "a", .expected = "b", .advice = "do c"}),
            "f: t: found a, expected b; do c");
  EXPECT_EQ(formatError({.file = "f", .expected = "b"}), "f: expected b");
  EXPECT_EQ(formatError({.found = "a", .expected = "b"}), "found a, expected b");
  EXPECT_EQ(formatError({.file = "f", .tensor = "x\n\x1b[31m", .found = "a"}), "f: x??[31m: found a");
}

} // namespace
