// The list of targets: a new one is one line here.
#include "codegen/Target.h"

#include "codegen/host/HostLowering.h"
#include "codegen/host/HostTarget.h"
#include "codegen/host/TileDecoder.h"
#include "codegen/nvptx/GpuTileDecoder.h"
#include "codegen/nvptx/NvptxLowering.h"
#include "codegen/nvptx/NvptxTarget.h"

namespace qlr {

llvm::ArrayRef<const Target *> targets() {
  static const HostTarget host;
  static const NvptxTarget sm80(80, false), sm86(86, false), sm89(89, false), sm90(90, false);
  static const NvptxTarget emulated80(80, true), emulated86(86, true), emulated90(90, true);
  static const Target *const all[] = {&host, &sm80, &sm86, &sm89, &sm90, &emulated80, &emulated86, &emulated90};
  return all;
}

const Target *findTarget(llvm::StringRef name) {
  for (const Target *target : targets())
    if (target->name() == name)
      return target;
  return nullptr;
}

void registerTargetInterfaces(mlir::DialectRegistry &registry) {
  registerHostCodecs(registry);
  registerGpuCodecs(registry);
}

void registerTargetPasses() {
  registerQlrHostPasses();
  registerHostPipelines();
  registerNvptxPasses();
}

} // namespace qlr
