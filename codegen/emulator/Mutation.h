// Planted faults: small changes to a kernel's device IR that tests must notice.
#ifndef QLR_CODEGEN_EMULATOR_MUTATION_H
#define QLR_CODEGEN_EMULATOR_MUTATION_H

#include <string>

namespace llvm {
class Module;
}

namespace qlr {

/// Changes the `number`-th place (from 0) in `module` that `kind` fits, and returns how many such places there are;
/// with fewer than number + 1 nothing changes. Kinds:
///   barrier   a block barrier is left out
///   index     an index of an address is one too large
///   mask      a shuffle names the lower 16 lanes only
///   wait      a wait for asynchronous copies is left out
///   release   a release becomes a relaxed atomic
///   acquire   an acquiring load becomes an ordinary one
/// -1: there is no such kind.
int mutate(llvm::Module &module, const std::string &kind, int number);

} // namespace qlr

#endif // QLR_CODEGEN_EMULATOR_MUTATION_H
