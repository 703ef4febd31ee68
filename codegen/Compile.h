// From a model directory to an artifact: what `qlr compile` does.
#ifndef QLR_CODEGEN_COMPILE_H
#define QLR_CODEGEN_COMPILE_H

#include "codegen/Target.h"

#include <string>

namespace qlr {

struct CompileOptions {
  std::string model; ///< Hugging Face directory, compressed or not
  std::string target = "host";
  std::string output; ///< artifact, or text with `emit`; "-" is standard output
  Emit emit = Emit::Artifact;
  std::string emitStage = "planned"; ///< with Emit::Mlir: graph, kernels, planned or lowered
  std::string form = "fused";        ///< or unfused
  bool f32Cache = false;
  bool weights = true; ///< false: plan and kernels only
  std::string tuneDb;  ///< tuning database; empty: cost model
  std::string ir;      ///< qlr IR to go on from instead of importing the model; empty: import
};

/// Compiles. Throws Error on bad input; a failed pass leaves a reproducer beside the output and says how to rerun it.
/// The output appears under its name only when it is complete.
void compileModel(const CompileOptions &options);

} // namespace qlr

#endif // QLR_CODEGEN_COMPILE_H
