// Look-up in the table of Snippets.h.
#include "codegen/nvptx/Snippets.h"

#include "llvm/Support/ErrorHandling.h"

namespace qlr {

const Snippet &snippet(llvm::StringRef name) {
  for (const Snippet &one : kSnippets)
    if (name == one.name)
      return one;
  llvm_unreachable("no such snippet");
}

const Snippet *snippetByText(llvm::StringRef text) {
  for (const Snippet &one : kSnippets)
    if (text == one.text)
      return &one;
  return nullptr;
}

} // namespace qlr
