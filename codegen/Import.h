// Checkpoint headers -> model graph.
#ifndef QLR_CODEGEN_IMPORT_H
#define QLR_CODEGEN_IMPORT_H

#include "runtime/format/Checkpoint.h"
#include "runtime/format/QuantConfig.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace qlr {

struct ImportOptions {
  /// Cache elements are f32 instead of bf16.
  bool f32Cache = false;
  /// Tokens that the functions take, each number once, 1 among them; prompts are cut into chunks of these.
  llvm::SmallVector<int64_t> chunks = {1, 8, 128};
};

/// One entry point of a model: a function over `tokens` tokens that returns the logits of the last or of all.
struct ForwardShape {
  int64_t tokens;
  bool allLogits;
  std::string name() const { return "forward_" + std::to_string(tokens) + (allLogits ? "_all" : "_last"); }
};

/// The model graph: declarations named after the checkpoint's modules and tensors, and one function per forward shape.
/// Reads headers only. `quant` is null for uncompressed checkpoints. Throws Error naming the tensor, what was found and
/// what was expected.
mlir::OwningOpRef<mlir::ModuleOp> importModel(mlir::MLIRContext &context, const ModelConfig &config,
                                              const Checkpoint &checkpoint, const QuantConfig *quant,
                                              const ImportOptions &options);

} // namespace qlr

#endif // QLR_CODEGEN_IMPORT_H
