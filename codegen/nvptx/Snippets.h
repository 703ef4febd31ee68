// Every piece of inline PTX that kernels use, by name: instructions that LLVM 22 has no intrinsic for. The emulator has
// a model of each name (runtime/emulator), so nothing else may be written as inline assembly.
#ifndef QLR_CODEGEN_NVPTX_SNIPPETS_H
#define QLR_CODEGEN_NVPTX_SNIPPETS_H

#include "llvm/ADT/StringRef.h"

namespace qlr {

struct Snippet {
  const char *name;
  const char *text;
  const char *constraints;
  bool hasSideEffects; ///< else equal calls may be merged and moved
  unsigned ptxVersion; ///< lowest that has it, times ten
};

inline constexpr Snippet kSnippets[] = {
    // LLVM 22 drops the ordering of atomicrmw for NVPTX, so what synchronizes blocks is written out.
    {"ld_acquire_gpu_u32", "ld.acquire.gpu.global.u32 $0, [$1];", "=r,l,~{memory}", true, 60},
    {"red_release_gpu_add_u32", "red.release.gpu.global.add.u32 [$0], $1;", "l,r,~{memory}", true, 60},
    {"atom_acq_rel_gpu_add_u32", "atom.acq_rel.gpu.global.add.u32 $0, [$1], $2;", "=r,l,r,~{memory}", true, 60},
    {"atom_relaxed_gpu_add_u32", "atom.relaxed.gpu.global.add.u32 $0, [$1], $2;", "=r,l,r,~{memory}", true, 60},
    {"nanosleep", "nanosleep.u32 $0;", "r,~{memory}", true, 63},
    // Weights are read once: they shall not push activations out of the first-level cache. Volatile in effect only:
    // what they read never changes during a launch.
    {"ld_stream_v4_u32", "ld.global.nc.L1::no_allocate.v4.u32 {$0,$1,$2,$3}, [$4];", "=r,=r,=r,=r,l", false, 74},
    {"ld_stream_v2_u32", "ld.global.nc.L1::no_allocate.v2.u32 {$0,$1}, [$2];", "=r,=r,l", false, 74},
};

/// The snippet called `name`; it must exist.
const Snippet &snippet(llvm::StringRef name);

/// The snippet with this text, or null: how the emulator finds its model.
const Snippet *snippetByText(llvm::StringRef text);

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_SNIPPETS_H
