//===- CheckpointOutput.h - the compressed checkpoint's directory ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compressor/LayerCompressor.h"

namespace qlr {

/// Writes a finished layer: its tensors, and its modules' entries of quantization_config as JSON in the metadata.
void writeLayer(const std::string &path, const std::vector<StoredTensor> &tensors,
                const std::map<std::string, ModuleQuant> &modules);

/// Puts finished layers, embedding, head, norms, biases and level tables together in a temporary directory beside
/// `out`, with config.json and the tokenizer's files, and renames it. `quant` comes with everything but modules and
/// hashes. Returns the bytes of the weights file.
uint64_t writeCheckpoint(const std::string &out, const LayerCompressor::Context &context, QuantConfig quant,
                         const std::vector<std::string> &layerFiles);

/// Throws Error unless a directory can be made at `out`: nothing is there, or an empty directory.
void checkOutput(const std::string &out);

} // namespace qlr
