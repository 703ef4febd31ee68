// Planned IR -> the plan an artifact carries.
#ifndef QLR_CODEGEN_PLANBUILDER_H
#define QLR_CODEGEN_PLANBUILDER_H

#include "runtime/format/ModelConfig.h"
#include "runtime/format/Plan.h"

#include "mlir/IR/BuiltinOps.h"

namespace qlr {

/// Kernels, stages and one token plan per forward function of a planned module. Target, form and levels are the
/// caller's.
Plan buildPlan(mlir::ModuleOp planned, const ModelConfig &config);

} // namespace qlr

#endif // QLR_CODEGEN_PLANBUILDER_H
