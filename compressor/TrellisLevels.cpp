#include "compressor/TrellisLevels.h"

#include "compressor/Random.h"
#include "compressor/TrellisSearch.h"
#include "runtime/format/Error.h"

#include <algorithm>
#include <cmath>
#include <string>

using namespace qlr;

namespace {

struct Entry {
  unsigned bits, window;
  uint64_t seed;
  TrellisLevels table;
};

const std::vector<Entry> &tables() {
  static const std::vector<Entry> entries = {
#include "compressor/TrellisLevels.inc"
  };
  return entries;
}

const Entry &find(unsigned bits, unsigned window) {
  for (const Entry &entry : tables())
    if (entry.bits == bits && entry.window == window)
      return entry;
  throw Error("no level table for " + std::to_string(bits) + " bits and window " + std::to_string(window) +
              "; make one with train-levels");
}

std::vector<float> normals(size_t count, uint64_t seed, std::string_view name) {
  Random random(seed, name);
  std::vector<float> x(count);
  for (float &v : x)
    v = static_cast<float>(random.normal());
  return x;
}

/// One search over all samples: the mean of the samples that met each level, and the mean squared error.
double centroids(unsigned bits, unsigned window, const std::vector<float> &levels, const std::vector<float> &x,
                 std::vector<double> &mean, bool refine = false) {
  TrellisSearch search(bits, window, levels);
  search.setRefine(refine);
  std::vector<uint8_t> windows(x.size());
  search.search(x.data(), x.size() / search.steps(), windows.data());
  std::vector<double> sum(levels.size()), count(levels.size());
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double d = double(x[i]) - double(levels[windows[i]]);
    error += d * d;
    sum[windows[i]] += x[i];
    count[windows[i]] += 1;
  }
  mean.resize(levels.size());
  for (size_t k = 0; k < levels.size(); ++k) {
    size_t mirror = levels.size() - 1 - k;
    double n = count[k] + count[mirror];
    mean[k] = n > 0 ? (sum[k] - sum[mirror]) / n : double(levels[k]);
  }
  return error / double(x.size());
}

} // namespace

std::vector<float> TrellisLevels::values() const {
  std::vector<float> v;
  for (int8_t level : levels)
    v.push_back(static_cast<float>(level * unit));
  return v;
}

const TrellisLevels &qlr::trellisLevels(unsigned bits, unsigned window) { return find(bits, window).table; }

uint64_t qlr::trellisLevelsSeed(unsigned bits, unsigned window) { return find(bits, window).seed; }

TrellisLevels LevelTraining::run() const {
  size_t states = size_t(1) << window;
  double amplitude = noise > 0 ? noise : bits == 2 ? 0.1 : bits == 3 ? 0.06 : 0.03;
  Random random(seed, "levels");
  std::vector<float> levels(states);
  for (size_t k = 0; k < states / 2; ++k) {
    levels[k] = static_cast<float>(random.normal());
    levels[states - 1 - k] = -levels[k];
  }
  std::vector<double> mean;
  auto alternate = [&](const std::vector<float> &x, unsigned count, double noiseAt0) {
    double cooling = count * 2.0 / 3.0;
    for (unsigned i = 0; i < count; ++i) {
      centroids(bits, window, levels, x, mean);
      double shake = i < cooling ? noiseAt0 * (1 - i / cooling) : 0;
      for (size_t k = 0; k < states / 2; ++k) {
        levels[k] = static_cast<float>(mean[k] + shake * random.normal());
        levels[states - 1 - k] = -levels[k];
      }
    }
  };
  alternate(normals(size_t(tiles) * 64, seed, "samples"), iterations, amplitude);
  alternate(normals(size_t(polishTiles) * 64, seed, "polish"), polishIterations, 0);

  double largest = 0;
  for (float v : levels)
    largest = std::max(largest, std::abs(double(v)));
  TrellisLevels table;
  // Nine digits, so that the committed text, the checkpoint's metadata and this number are the same.
  table.unit = std::round(largest / 127 * 1e9) / 1e9;
  for (float v : levels)
    table.levels.push_back(static_cast<int8_t>(std::clamp(std::lround(double(v) / table.unit), -127L, 127L)));
  return table;
}

double qlr::trellisError(unsigned bits, unsigned window, const TrellisLevels &levels, unsigned tiles, uint64_t seed) {
  std::vector<double> mean;
  return centroids(bits, window, levels.values(), normals(size_t(tiles) * 64, seed, "error"), mean, true);
}
