// Device LLVM IR -> x86-64 code that runtime/emulator executes: the GPU's kernels, checked for numbers and for faults
// where no GPU is.
//
// The input is the very module that the NVPTX backend gets (clone it before that backend's passes change it): triple
// nvptx64, one kernel. It is retargeted; what only a GPU has (special registers, collectives, asynchronous copies, the
// inline PTX of kernels) becomes calls through a table of operations that the runtime fills in when it opens the
// library, and every access to memory is announced to the checker. What the table of DeviceOperations.cpp does not
// name is refused before code is generated.
#ifndef QLR_CODEGEN_EMULATOR_EMULATOROBJECT_H
#define QLR_CODEGEN_EMULATOR_EMULATOROBJECT_H

#include "llvm/ADT/SmallVector.h"

#include <string>

namespace llvm {
class Module;
}

namespace qlr {

struct EmulatorOptions {
  /// Announce loads, stores, atomics and block copies to the checker. Without, kernels run about three times as fast,
  /// and only faults of control flow (barriers, collectives, deadlock) are found.
  bool instrument = true;
};

/// Code for one kernel: a relocatable object for linkHostLibrary (codegen/host/HostObject.h). `module` is changed and
/// is of no other use afterwards. Threads may do this at the same time for modules of different contexts.
/// On failure returns false and sets `error`, which names the kernel and everything in it that has no host model.
bool emitEmulatorObject(llvm::Module &module, const EmulatorOptions &options, llvm::SmallVectorImpl<char> &object,
                        std::string &error);

/// Only the first half, for people and tests: `module` becomes the host IR that code is generated from.
bool lowerToEmulator(llvm::Module &module, const EmulatorOptions &options, std::string &error);

} // namespace qlr

#endif // QLR_CODEGEN_EMULATOR_EMULATOROBJECT_H
