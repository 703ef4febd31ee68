// The passes; `create<Name>Pass()` and `registerQlrPasses()` are generated.
#ifndef QLR_PASSES_PASSES_H
#define QLR_PASSES_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace qlr {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"
} // namespace qlr

#endif // QLR_PASSES_PASSES_H
