// A small deterministic fuzzer: seeded mutations of the good inputs, the same on every machine.
// QLR_FUZZ_RUNS sets how many.
#include "test/fuzz/Fuzz.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <random>

namespace {

using Random = std::mt19937_64;

size_t below(Random &random, size_t bound) { return static_cast<size_t>(random() % bound); }

/// Values that parsers get wrong.
const std::string pieces[] = {"0",
                              "-1",
                              "18446744073709551615",
                              "18446744073709551616",
                              "9223372036854775808",
                              "1e999",
                              "-0.0",
                              "null",
                              "true",
                              "[]",
                              "{}",
                              "\"\"",
                              "[[[[[[[[",
                              "\"\\ud800\"",
                              "\"\\u0000\"",
                              "4294967296",
                              "\xff",
                              "\xef\xbb\xbf",
                              ",",
                              ":"};

void mutate(std::string &input, const std::vector<std::string> &seeds, Random &random) {
  size_t at = below(random, input.size() + 1), length = 1 + below(random, 16);
  switch (below(random, 8)) {
  case 0: // a bit
    if (at < input.size())
      input[at] = static_cast<char>(input[at] ^ (1 << below(random, 8)));
    break;
  case 1: // a byte
    if (at < input.size())
      input[at] = static_cast<char>(random());
    break;
  case 2:
    input.erase(at, length);
    break;
  case 3: // twice
    input.insert(at, input.substr(below(random, input.size() + 1), length));
    break;
  case 4:
    input.insert(at, pieces[below(random, std::size(pieces))]);
    break;
  case 5: { // a number or word becomes another
    size_t from = input.find_first_of("0123456789tfn", at);
    if (from != std::string::npos) {
      size_t to = std::min(input.find_first_of(",]}: ", from), input.size());
      input.replace(from, to - from, pieces[below(random, std::size(pieces))]);
    }
    break;
  }
  case 6:
    input.resize(at);
    break;
  default: { // the end of another seed
    const std::string &other = seeds[below(random, seeds.size())];
    input = input.substr(0, at) + other.substr(below(random, other.size() + 1));
  }
  }
}

void runOne(const std::string &input) {
  // A copy of exactly this size, so that the sanitizers see one byte too far.
  std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

TEST(Fuzz, SeededMutations) {
  const char *wanted = std::getenv("QLR_FUZZ_RUNS");
  long runs = wanted ? std::atol(wanted) : 3000;
  std::vector<std::string> seeds = fuzzSeeds();
  ASSERT_FALSE(seeds.empty());
  for (const std::string &seed : seeds)
    runOne(seed);
  Random random(20240601);
  for (long run = 0; run < runs; ++run) {
    std::string input = seeds[below(random, seeds.size())];
    for (size_t i = 0, count = 1 + below(random, 4); i < count; ++i)
      mutate(input, seeds, random);
    ASSERT_NO_THROW(runOne(input)) << "run " << run << ": something other than qlr::Error";
  }
}

} // namespace
