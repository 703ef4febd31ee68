// The list of targets: a new one is one line here.
#include "codegen/Target.h"

#include "codegen/host/HostLowering.h"
#include "codegen/host/HostTarget.h"
#include "codegen/host/TileDecoder.h"

namespace qlr {

llvm::ArrayRef<const Target *> targets() {
  static const HostTarget host;
  static const Target *const all[] = {&host};
  return all;
}

const Target *findTarget(llvm::StringRef name) {
  for (const Target *target : targets())
    if (target->name() == name)
      return target;
  return nullptr;
}

void registerTargetInterfaces(mlir::DialectRegistry &registry) { registerHostCodecs(registry); }

void registerTargetPasses() {
  registerQlrHostPasses();
  registerHostPipelines();
}

} // namespace qlr
