// What is in a file or a directory: tensors, codecs, bits, memory.
#pragma once

#include "runtime/exec/Session.h"
#include "runtime/format/Checkpoint.h"
#include "runtime/format/QuantConfig.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace qlr {

/// One linear (or the embedding) of a model.
struct ModuleReport {
  std::string name, codec, factors;
  uint64_t rows = 0, columns = 0, bytes = 0;
  uint32_t rank = 0, rotation = 0;
  bool decoder = false;              ///< counts for bits_per_weight
  std::optional<double> recorded;    ///< correlation with the original, as the compressor wrote it
  std::optional<double> correlation; ///< the same, recomputed against a reference

  double bits() const {
    return 8.0 * static_cast<double>(bytes) / (static_cast<double>(rows) * static_cast<double>(columns));
  }
};

struct TensorReport {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
};

struct Report {
  std::string path, kind; ///< "checkpoint", "compressed checkpoint", "artifact" or "safetensors file"
  uint64_t bytes = 0;     ///< of all weight files
  std::vector<TensorReport> tensors;
  std::vector<ModuleReport> modules;
  std::optional<double> bitsPerWeight; ///< decoder linears, scales, factors, signs and level tables included
  std::optional<MemoryNeed> memory;
  uint32_t context = 0; ///< of `memory`
  std::string target;   ///< of `memory`
  nlohmann::json provenance;

  nlohmann::json toJson() const;
  /// For people. `everyTensor`: not the modules only.
  std::string toText(bool everyTensor) const;
};

Report inspectFile(const std::string &path);
Report inspectArtifact(const Artifact &artifact);

/// Checks the hashes of a compressed checkpoint's tensors.
Report inspectDirectory(const std::string &path);

/// Fills in memory for `context` (nothing: as Session chooses it, within the memory limit of `options`), with embedding
/// and head where `options` and the target want them. Throws Error when a memory limit does not suffice.
void addMemory(Report &report, const Plan &plan, std::optional<uint32_t> context, const DeviceOptions &options = {});

/// Fills in the correlation of every compressed module of the directory `report` describes with the uncompressed
/// checkpoint in `reference`. Throws Error when a tensor of the reference is missing or has another shape.
void addCorrelations(Report &report, const std::string &reference);

} // namespace qlr
