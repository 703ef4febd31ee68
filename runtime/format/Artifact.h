//===- Artifact.h - reader and writer of .qlr files -----------------------===//
//
// An artifact is one valid safetensors file: `weights/<name>`, `kernels/<target>`, `tokenizer/<file>`; plan, versions,
// provenance and hashes are strings in `__metadata__`. A host artifact contains native code: treat it like a program.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Plan.h"
#include "runtime/format/Safetensors.h"

#include <nlohmann/json.hpp>

namespace qlr {

/// The files of a model directory that an artifact carries where they exist.
inline constexpr const char *tokenizerFileNames[] = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                                                     "generation_config.json", "config.json"};

class Artifact {
public:
  /// How much open() verifies: the header's hash always; the tensors' hashes read the whole file (two threads).
  enum class Verify { Header, Tensors };

  /// Throws Error that names the file and, where it applies, the tensor.
  static Artifact open(const std::string &path, Verify verify = Verify::Tensors);

  const std::string &path() const { return file.path(); }
  /// What it was compiled for: the first as asked, others by name.
  const std::vector<std::string> &targets() const { return targetNames; }
  /// The plan of the first target.
  const Plan &plan() const { return plans.begin()->second; }
  /// Throws Error when it was not compiled for `target`.
  const Plan &plan(const std::string &target) const;
  const nlohmann::json &provenance() const { return theProvenance; }
  const SafetensorsFile &tensors() const { return file; }

  /// The weights arena: offsets of the plan's "w" arguments. Empty when compiled without weights.
  std::span<const std::byte> weights() const;
  /// Native code or PTX of a target; throws Error when the artifact has none.
  std::span<const std::byte> kernels(const std::string &target) const;
  /// A tokenizer file's text (`tokenizer.json`, `config.json`, ...); nothing when absent.
  std::optional<std::string_view> tokenizerFile(const std::string &name) const;

  /// Checks the bytes of all tensors whose names start with `prefix` against their hashes.
  void verifyTensors(std::string_view prefix = {}) const;

private:
  void readPlans();

  SafetensorsFile file;
  std::vector<std::string> targetNames;
  std::vector<std::pair<std::string, Plan>> plans; // in the order of targetNames
  nlohmann::json theProvenance;
  std::map<std::string, std::string> tensorHashes;
};

/// Declare in the order weights, kernels, tokenizer files; then begin(), write() everything in that order, finish().
class ArtifactWriter {
public:
  explicit ArtifactWriter(const std::string &path) : writer(path) {}

  /// Bytes a weight of `bytes` takes in the arena: padded to 64, and 64 of slack that a kernel may read past the end.
  static uint64_t arenaBytes(uint64_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

  /// Returns the weight's offset in the arena.
  uint64_t declareWeight(const std::string &name, uint64_t bytes);
  void declareKernels(const std::string &target, uint64_t bytes);
  void declareTokenizerFile(const std::string &name, uint64_t bytes);
  /// Once for each target; the first is the one that runs where none is named.
  void setPlan(const Plan &plan);
  void setProvenance(const nlohmann::json &provenance);

  void begin();
  /// The bytes of the declared things, in any pieces; padding is added by itself.
  void write(std::span<const std::byte> bytes);
  void finish();

private:
  void pad();

  SafetensorsWriter writer;
  std::string firstTarget;     // that of the first setPlan
  std::vector<uint64_t> sizes; // without padding
  size_t current = 0;
  uint64_t written = 0; // of the current one
};

} // namespace qlr
