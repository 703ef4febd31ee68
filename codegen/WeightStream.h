// Streams a checkpoint's tensors into the weights arena of an artifact, in the order and layout the planned IR
// declares.
#ifndef QLR_CODEGEN_WEIGHTSTREAM_H
#define QLR_CODEGEN_WEIGHTSTREAM_H

#include "runtime/format/Artifact.h"
#include "runtime/format/Checkpoint.h"
#include "runtime/format/QuantConfig.h"

#include "mlir/IR/BuiltinOps.h"

#include <functional>

namespace qlr {

/// One tensor of the arena: where it lies, and how its bytes are made from the checkpoint, in pieces.
struct ArenaTensor {
  using Sink = std::function<void(std::span<const std::byte>)>;

  std::string name;
  uint64_t offset, bytes;
  std::function<void(const Sink &)> write;
};

/// All tensors of a planned module's arena, by offset. The hashes that a compressed checkpoint records are checked here
/// where its tensors are up to 1 GiB, and otherwise when `write` reads them (Error naming the tensor): a damaged small
/// checkpoint is refused before kernels are compiled, a large one is read only once. The references must outlive the
/// result.
std::vector<ArenaTensor> arenaTensors(mlir::ModuleOp planned, const Checkpoint &checkpoint, const QuantConfig *quant);

} // namespace qlr

#endif // QLR_CODEGEN_WEIGHTSTREAM_H
