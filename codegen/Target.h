// What a machine needs to know: how planned kernels become code. A target is one folder with one of these.
#ifndef QLR_CODEGEN_TARGET_H
#define QLR_CODEGEN_TARGET_H

#include "runtime/format/Plan.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"

#include <functional>
#include <memory>
#include <vector>

namespace llvm {
class raw_ostream;
}

namespace qlr {

struct PlanOptions;

/// Where `qlr compile --emit` stops.
enum class Emit { Artifact, Mlir, Llvm, Asm };

class Target {
public:
  virtual ~Target() = default;

  /// Name on the command line and of the artifact's kernels/<name>.
  virtual llvm::StringRef name() const = 0;

  /// Sets what the passes have to know of the machine.
  virtual void setPlanOptions(PlanOptions &options) const {}

  /// Lowers the kernels of `planned` (consumed) to code for the artifact and completes `plan`: the target's name, and
  /// what launching the kernels takes. On failure diagnoses and returns failure.
  virtual mlir::LogicalResult compile(mlir::ModuleOp planned, Plan &plan, llvm::SmallVectorImpl<char> &code) const = 0;

  /// Prints what stands between: MLIR of the llvm dialect, LLVM IR or assembly (PTX).
  virtual mlir::LogicalResult print(mlir::ModuleOp planned, Emit what, llvm::raw_ostream &out) const = 0;
};

/// Every target of this build; a target's file defines `make<Name>Target` and stands in the array of Targets.cpp.
llvm::ArrayRef<const Target *> targets();

/// The target called `name`, or null.
const Target *findTarget(llvm::StringRef name);

/// Registers what the targets attach to the dialect.
void registerTargetInterfaces(mlir::DialectRegistry &registry);

/// Makes the targets' passes and pipelines known to pass pipeline strings.
void registerTargetPasses();

} // namespace qlr

#endif // QLR_CODEGEN_TARGET_H
