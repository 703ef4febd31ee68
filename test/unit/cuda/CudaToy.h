// A hand-made GPU artifact whose "model" predicts factor times the sum of all ids so far, modulo the vocabulary. Its
// PTX has entries without code; the fake driver runs C functions of the same names instead.
#pragma once

#include "runtime/format/Plan.h"
#include "test/unit/exec/ToyArtifact.h"

namespace qlr::test {

constexpr uint32_t cudaToyVocab = 97;
constexpr uint32_t cudaToyFactor = 5;

struct CudaToyOptions {
  std::vector<std::string> targets = {"sm_86"};
  std::string ptxVersion = "7.4";
  uint32_t maxPositions = 1000;
  uint64_t embeddingPadding = 0; ///< bytes the embedding takes beyond what it needs
  bool dependent = false;        ///< kernels wait for the one before them by themselves
  std::function<void(Plan &)> edit;
  std::function<void(std::string &)> editPtx; ///< of each kernel
};

/// Writes `path`, and the C functions as a shared object beside it: `path`.so.
void writeCudaToy(const std::string &path, const CudaToyOptions &options = {});

uint32_t cudaToyNext(const std::vector<uint32_t> &ids);

/// The environment under which programs find the fake driver and the toy's kernels: "A=b C=d ".
std::string fakeEnvironment(const std::string &toy, const std::string &log, const std::string &more = "");

} // namespace qlr::test
