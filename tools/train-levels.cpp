//===- train-levels.cpp - makes compressor/TrellisLevels.inc --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   train-levels > compressor/TrellisLevels.inc            all tables, the best of six seeds each (10 minutes)
//   train-levels --bits 2 --window 7 --seed 3 --starts 1   one table, as a test does
//
//===----------------------------------------------------------------------===//

#include "compressor/TrellisLevels.h"
#include "runtime/format/Error.h"

#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

using namespace qlr;

namespace {

constexpr unsigned errorTiles = 32768;
constexpr uint64_t errorSeed = 1000003;

void printTable(const LevelTraining &best, const TrellisLevels &table, double error) {
  std::printf("// %u bits, window %u: error %.5f on N(0,1)\n{%u, %u, %llu, {{", best.bits, best.window, error,
              best.bits, best.window, static_cast<unsigned long long>(best.seed));
  for (size_t i = 0; i < table.levels.size(); ++i)
    std::printf("%s%d,", i % 24 ? " " : "\n", table.levels[i]);
  std::printf("},\n %.9f}},\n", table.unit);
  std::fflush(stdout);
}

void train(unsigned bits, unsigned window, uint64_t seed, unsigned starts) {
  LevelTraining best;
  TrellisLevels table;
  double error = 1e9;
  for (unsigned i = 0; i < starts; ++i) {
    LevelTraining training{.bits = bits, .window = window, .seed = seed + i};
    TrellisLevels candidate = training.run();
    double found = trellisError(bits, window, candidate, errorTiles, errorSeed);
    std::fprintf(stderr, "%u bits, window %u, seed %llu: %.5f\n", bits, window,
                 static_cast<unsigned long long>(training.seed), found);
    if (found < error) {
      error = found;
      best = training;
      table = candidate;
    }
  }
  printTable(best, table, error);
}

int run(int argc, char **argv) {
  unsigned bits = 0, window = 0, starts = 6;
  uint64_t seed = 1;
  for (int i = 1; i < argc; ++i) {
    std::string flag = argv[i];
    if (flag == "--version") {
      std::printf("train-levels %s\n", QLR_VERSION);
      return 0;
    }
    if (i + 1 == argc)
      throw Error("unknown argument " + flag + "; usage: train-levels [--bits N --window N] [--seed N] [--starts N]");
    unsigned long value = std::stoul(argv[++i]);
    if (flag == "--bits")
      bits = value;
    else if (flag == "--window")
      window = value;
    else if (flag == "--seed")
      seed = value;
    else if (flag == "--starts")
      starts = value;
    else
      throw Error("unknown flag " + flag);
  }
  std::printf("// Made by train-levels: {bits, window, seed, {levels, unit}}.\n");
  for (unsigned b : {2u, 3u, 4u})
    for (unsigned w : {7u, 8u})
      if ((!bits || bits == b) && (!window || window == w))
        train(b, w, seed, starts);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
