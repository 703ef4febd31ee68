// A hand-made artifact for tests of the runtime: its "model" predicts the sum of all ids so far, modulo the vocabulary.
#pragma once

#include "runtime/format/Plan.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace qlr::test {

/// The usual logit of the predicted token; all others have 0.
constexpr int toyLogit = 4;

struct ToyOptions {
  uint32_t vocab = 97; // no multiple of 16: rows of logits are padded
  uint32_t maxPositions = 1000;
  int logit = toyLogit;
  /// Taking this id makes the logits NaN; -1 = none does.
  int32_t poison = -1;
  /// Directory with tokenizer.json and friends to put in; empty = none.
  std::string tokenizerDir;
  std::vector<std::string> levels = {"avx2", "avx512"};
  bool kernels = true;
  bool weights = true;
  /// A change to the plan before it is written.
  std::function<void(Plan &)> edit;
};

/// Writes the artifact; its kernels come from a C compiler.
void writeToyArtifact(const std::string &path, const ToyOptions &options = {});

/// What the toy predicts after `ids`.
uint32_t toyNext(const std::vector<uint32_t> &ids, uint32_t vocab);

/// A directory that goes away with the object.
class TemporaryDirectory {
public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::string file(const std::string &name) const { return (path / name).string(); }

private:
  std::filesystem::path path;
};

/// Exit code and output of a command line of the shell.
struct Outcome {
  int code;
  std::string out, err;
};
Outcome runCommand(const std::string &command);

std::string readFile(const std::string &path);
void writeFile(const std::string &path, const std::string &content);

/// The message of the Error that `body` throws; fails the test when it throws none.
std::string messageOf(const std::function<void()> &body);

} // namespace qlr::test
