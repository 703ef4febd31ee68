//===- WorkDirectory.h - what a compression leaves on disk while it runs --===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// fingerprint.json, hidden-N.bin (the hidden states that enter layer N) and layer-N.safetensors (layer N, finished).
// Each file appears under its name only when complete. A layer is committed by its layer file; the hidden states that
// enter the next one are there before it, and those that entered it go after it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

namespace qlr {

/// Writes a file of floats; under its name only after finish().
class FloatFileWriter {
public:
  explicit FloatFileWriter(std::string path);
  ~FloatFileWriter();
  FloatFileWriter(const FloatFileWriter &) = delete;
  FloatFileWriter &operator=(const FloatFileWriter &) = delete;
  void write(std::span<const float> values);
  void finish();

private:
  std::string path, temporary;
  std::FILE *stream;
};

class WorkDirectory {
public:
  /// Makes or reuses `path`. A directory of another compression is refused, and so is one of the same without `resume`;
  /// what differs is named.
  WorkDirectory(std::string path, const nlohmann::json &fingerprint, bool resume);

  const std::string &path() const { return dir; }
  std::string hiddenPath(uint32_t layer) const;
  std::string originalPath(uint32_t layer) const;
  std::string layerPath(uint32_t layer) const;
  /// What the names of files used within a layer begin with.
  std::string scratchPath() const;
  /// Layers finished, from the first on.
  uint32_t finishedLayers(uint32_t layers) const;
  /// Removes the hidden states that entered a layer.
  void dropHidden(uint32_t layer) const;
  /// Removes everything this class knows of, and the directory if it is then empty.
  void remove(uint32_t layers) const;

private:
  std::string dir;
};

} // namespace qlr
