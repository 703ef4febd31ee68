// The pipeline from the model graph to planned kernels, the same in qlr-compile and in qlr-opt.
#ifndef QLR_PASSES_PIPELINES_H
#define QLR_PASSES_PIPELINES_H

#include "mlir/Pass/PassOptions.h"

namespace mlir {
class OpPassManager;
}

namespace qlr {

struct PlanOptions : mlir::PassPipelineOptions<PlanOptions> {
  Option<std::string> form{*this, "form", llvm::cl::desc("fused, two-stage or unfused"), llvm::cl::init("fused")};
  Option<bool> deferNorm{*this, "defer-norm", llvm::cl::desc("scale by a norm's statistic after the product"),
                         llvm::cl::init(false)};
  Option<std::string> machine{*this, "machine", llvm::cl::desc("host or gpu: what variants are chosen for"),
                              llvm::cl::init("host")};
  Option<std::string> multiply{*this, "multiply", llvm::cl::desc("gpu: dp4a, imma or hmma wherever it fits"),
                               llvm::cl::init("")};
  Option<std::string> decode{*this, "decode", llvm::cl::desc("gpu: this way to decode where the codec has it"),
                             llvm::cl::init("")};
  Option<int64_t> splits{*this, "splits", llvm::cl::desc("gpu: items that share a result; 0: the cost model's"),
                         llvm::cl::init(0)};
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
