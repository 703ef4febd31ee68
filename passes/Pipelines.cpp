// The order of the passes, with the reasons.
#include "passes/Pipelines.h"

#include "passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace qlr {

void buildToKernels(OpPassManager &pm, const PlanOptions &options) {
  // Siblings are found by their common input, so equal rotations have to be one value first.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createFuseSiblingsPass());
  pm.addPass(createDecomposePass());
  if (options.deferNorm)
    pm.addPass(createDeferNormPass());
  pm.addPass(createFormKernelsPass({options.form}));
}

void buildToPlanned(OpPassManager &pm, const PlanOptions &options) {
  // It takes kernels that are there as they are.
  buildToKernels(pm, options);
  // One definition per kind of kernel: everything after works on definitions, so its time does not grow with the
  // layers.
  pm.addPass(createShareKernelsPass());
  pm.addPass(createStagePass());
  pm.addPass(
      createSelectVariantsPass({options.tuneDb, options.machine, options.multiply, options.decode, options.splits}));
  // On a GPU a kernel is one launch; on the host its stages are calls, and the pool waits between them.
  if (options.machine == "gpu")
    pm.addPass(createPlanSyncPass());
  pm.addPass(createPlanBuffersPass());
  pm.addPass(createVerifyPlannedPass());
}

void registerQlrPipelines() {
  PassPipelineRegistration<PlanOptions>("qlr-to-kernels", "From the model graph to kernels", buildToKernels);
  PassPipelineRegistration<PlanOptions>("qlr-to-planned", "From the model graph to planned kernels", buildToPlanned);
}

} // namespace qlr
