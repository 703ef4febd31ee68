// The pipeline from the model graph to planned kernels, the same in qlr-compile and in qlr-opt.
#ifndef QLR_PASSES_PIPELINES_H
#define QLR_PASSES_PIPELINES_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
}

namespace qlr {

struct PlanOptions : mlir::PassPipelineOptions<PlanOptions> {
  Option<std::string> form{*this, "form", llvm::cl::desc("fused or unfused"), llvm::cl::init("fused")};
  Option<std::string> tuneDb{*this, "tune-db", llvm::cl::desc("tuning database; empty: cost model only"),
                             llvm::cl::init("")};
};

/// Graph -> kernels: the form in which kernels are best edited.
void buildToKernels(mlir::OpPassManager &pm, const PlanOptions &options);

/// Graph or kernels -> kernels -> stages -> addresses. What comes out passes qlr-verify-planned.
void buildToPlanned(mlir::OpPassManager &pm, const PlanOptions &options);

/// Makes `qlr-to-kernels` and `qlr-to-planned` known to pass pipeline strings.
void registerQlrPipelines();

} // namespace qlr

#endif // QLR_PASSES_PIPELINES_H
