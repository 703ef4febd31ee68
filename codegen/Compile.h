// From a model directory to an artifact: what `qlr compile` does.
#ifndef QLR_CODEGEN_COMPILE_H
#define QLR_CODEGEN_COMPILE_H

#include "codegen/Target.h"

#include <string>

namespace qlr {

struct CompileOptions {
  std::string model;           ///< Hugging Face directory, compressed or not
  std::string target = "host"; ///< names of targets, separated by commas
  std::string output;          ///< artifact, or text with `emit`; "-" is standard output
  Emit emit = Emit::Artifact;
  std::string emitStage = "planned"; ///< with Emit::Mlir: graph, kernels, planned or lowered
  std::string form = "fused";        ///< or two-stage, unfused
  std::string multiply, decode;      ///< GPU variants asked for; empty: the cost model's
  int64_t splits = 0;                ///< items that share a result on a GPU; 0: the cost model's
  bool f32Cache = false;
  llvm::SmallVector<int64_t> chunks = {1, 8, 128}; ///< tokens a launch of the model can take; 1 among them
  bool weights = true;                             ///< false: plan and kernels only
  std::string tuneDb;                              ///< tuning database; empty: cost model
  std::string ir; ///< qlr IR to go on from instead of importing the model; empty: import
};

/// Compiles. Throws Error on bad input; a failed pass leaves a reproducer beside the output and says how to rerun it.
/// The output appears under its name only when it is complete.
void compileModel(const CompileOptions &options);

} // namespace qlr

#endif // QLR_CODEGEN_COMPILE_H
