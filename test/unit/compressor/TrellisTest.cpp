//===- TrellisTest.cpp - the trellis search and its level tables ----------===//

#include "compressor/Encoder.h"
#include "compressor/Random.h"
#include "compressor/TrellisLevels.h"
#include "compressor/TrellisSearch.h"

#include <chrono>
#include <cmath>
#include <gtest/gtest.h>
#include <map>

using namespace qlr;

namespace {

struct Kind {
  unsigned bits, window;
};

constexpr Kind kinds[] = {{2, 7}, {2, 8}, {3, 7}, {3, 8}, {4, 7}, {4, 8}};

std::vector<float> normals(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> x(n);
  for (float &v : x)
    v = static_cast<float>(random.normal());
  return x;
}

double costOf(const float *x, const uint8_t *windows, size_t n, const std::vector<float> &levels) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += std::pow(double(x[i]) - levels[windows[i]], 2);
  return sum;
}

TEST(TrellisSearch, EqualsExhaustiveSearchForEveryWrapAround) {
  for (Kind kind : {Kind{2, 7}, Kind{2, 8}, Kind{3, 7}}) {
    constexpr unsigned steps = 8;
    unsigned b = kind.bits, l = kind.window, total = steps * b;
    std::vector<float> levels = normals(size_t(1) << l, 7), x = normals(steps, 40 + l + b);
    TrellisSearch search(b, l, levels, steps);
    std::vector<double> least(size_t(1) << (l - b), 1e300);
    for (uint64_t string = 0; string < uint64_t(1) << total; ++string) {
      // The string twice over, so that a window that wraps is a field like any other.
      uint64_t twice = string | string << total;
      double cost = 0;
      for (unsigned i = 0; i < steps; ++i) {
        float d = x[i] - levels[(twice >> (total + b * i + b - l) % total) & ((1u << l) - 1)];
        cost += double(d) * d;
      }
      size_t overlap = string >> (total - (l - b));
      least[overlap] = std::min(least[overlap], cost);
    }
    for (unsigned overlap = 0; overlap < least.size(); ++overlap) {
      uint8_t windows[steps];
      search.searchFixed(x.data(), overlap, windows);
      ASSERT_EQ(windows[steps - 1] >> b, overlap);
      ASSERT_NEAR(costOf(x.data(), windows, steps, levels), least[overlap], 1e-4) << b << " bits, overlap " << overlap;
    }
  }
}

TEST(TrellisSearch, WithinOnePercentOfTheBestOverAllStates) {
  for (Kind kind : kinds) {
    TrellisSearch search(kind.bits, kind.window, trellisLevels(kind.bits, kind.window).values());
    constexpr size_t tiles = 48;
    std::vector<float> x = normals(tiles * 64, 3);
    std::vector<uint8_t> windows(tiles * 64), fixed(64);
    search.search(x.data(), tiles, windows.data());
    double found = 0, best = 0;
    for (size_t t = 0; t < tiles; ++t) {
      found += costOf(&x[t * 64], &windows[t * 64], 64, search.levels());
      double least = 1e300;
      for (unsigned overlap = 0; overlap < 1u << (kind.window - kind.bits); ++overlap) {
        search.searchFixed(&x[t * 64], overlap, fixed.data());
        least = std::min(least, costOf(&x[t * 64], fixed.data(), 64, search.levels()));
      }
      best += least;
    }
    std::printf("  %u bits, window %u: %.4f of the best\n", kind.bits, kind.window, found / best);
    EXPECT_LE(found, best * 1.01) << kind.bits << " bits, window " << kind.window;
    EXPECT_GE(found, best * 0.99999);
  }
}

TEST(TrellisSearch, AllInstructionSetsGiveTheSameCodes) {
  for (Kind kind : kinds) {
    TrellisSearch search(kind.bits, kind.window, trellisLevels(kind.bits, kind.window).values());
    constexpr size_t tiles = 37; // the last batch is not full
    std::vector<float> x = normals(tiles * 64, 11);
    for (size_t i = 0; i < 64; ++i)
      x[i] = 0, x[64 + i] = 1e4f; // ties, and targets far outside
    std::vector<uint8_t> expected(tiles * 64);
    search.setIsa(SearchIsa::Portable);
    search.search(x.data(), tiles, expected.data());
    for (SearchIsa isa : {SearchIsa::Avx2, SearchIsa::Avx512}) {
      if (!TrellisSearch::hasIsa(isa))
        continue;
      std::vector<uint8_t> windows(tiles * 64);
      search.setIsa(isa);
      search.search(x.data(), tiles, windows.data());
      EXPECT_EQ(windows, expected) << kind.bits << " bits, window " << kind.window;
    }
  }
}

TEST(TrellisEncoder, CodesMeanWhatTheCodecSays) {
  for (const Codec *codec : Codec::all()) {
    if (codec->isFloat())
      continue;
    const Encoder &encoder = Encoder::get(*codec);
    constexpr size_t tiles = 5;
    std::vector<float> x = normals(tiles * 64, 5), values(x.size());
    std::vector<uint8_t> codes(tiles * codec->tileBytes());
    encoder.encode(x.data(), tiles, codes.data(), values.data());
    for (size_t t = 0; t < tiles; ++t) {
      int16_t decoded[64];
      codec->decodeTile(&codes[t * codec->tileBytes()], encoder.levels().data(), decoded);
      for (size_t i = 0; i < 64; ++i)
        ASSERT_FLOAT_EQ(values[t * 64 + i], static_cast<float>(decoded[i] * codec->unit(encoder.levelUnit())))
            << codec->name();
    }
  }
}

/// Mean squared error of encoding N(0,1) with the starting scales.
double errorOf(const Codec &codec) {
  const Encoder &encoder = Encoder::get(codec);
  constexpr size_t columns = 4096, tiles = 2048;
  std::vector<float> x = normals(tiles * 64, 17), scales(x.size() / columns * codec.groupCount(columns));
  encoder.startScales(x.data(), x.size() / columns, columns, scales.data());
  size_t perScale = x.size() / scales.size();
  std::vector<float> targets(x.size()), values(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    targets[i] = x[i] / scales[i / perScale];
  std::vector<uint8_t> codes(tiles * codec.tileBytes());
  encoder.encode(targets.data(), tiles, codes.data(), values.data());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += std::pow(double(x[i]) - double(values[i]) * scales[i / perScale], 2);
  return sum / double(x.size());
}

TEST(Encoders, ErrorOnTheNormalDistribution) {
  const std::map<std::string, double> limits = {{"trellis2", 0.0815},   {"trellis2w8", 0.0795}, {"trellis3", 0.0226},
                                                {"trellis3w8", 0.0215}, {"trellis4", 0.0067},   {"trellis4w8", 0.0060},
                                                {"int2", 0.121},        {"int3", 0.039},        {"int4", 0.0122},
                                                {"int2g64", 0.12},      {"int4g64", 0.0125},    {"int8", 0.0001}};
  for (const auto &[name, limit] : limits) {
    double error = errorOf(Codec::get(name));
    std::printf("  %-12s %.5f (limit %.4f)\n", name.c_str(), error, limit);
    EXPECT_LE(error, limit) << name;
  }
}

TEST(TrellisLevels, TablesAreOddAndInRange) {
  for (Kind kind : kinds) {
    const TrellisLevels &table = trellisLevels(kind.bits, kind.window);
    ASSERT_EQ(table.levels.size(), size_t(1) << kind.window);
    for (size_t i = 0; i < table.levels.size(); ++i) {
      EXPECT_GE(table.levels[i], -127);
      EXPECT_EQ(table.levels[i], -table.levels[table.levels.size() - 1 - i]);
    }
  }
}

TEST(TrellisLevels, CommittedTableIsDerivedAgainFromItsSeed) {
  TrellisLevels derived = LevelTraining{.bits = 2, .window = 7, .seed = trellisLevelsSeed(2, 7)}.run();
  EXPECT_EQ(derived.levels, trellisLevels(2, 7).levels);
  EXPECT_DOUBLE_EQ(derived.unit, trellisLevels(2, 7).unit);
}

TEST(TrellisSearch, SpeedIsPrinted) {
  TrellisSearch search(2, 7, trellisLevels(2, 7).values());
  constexpr size_t tiles = 4096;
  std::vector<float> x = normals(tiles * 64, 23);
  std::vector<uint8_t> windows(x.size());
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    auto begin = std::chrono::steady_clock::now();
    search.search(x.data(), tiles, windows.data());
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::printf("  trellis2: %.1f M weights a second on one core\n", double(x.size()) / best / 1e6);
}

} // namespace
