// Numbers a kernel's arguments in the order of passes/ArgumentList.h.
#include "codegen/KernelArguments.h"

#include "dialect/Layout.h"
#include "passes/ArgumentList.h"

using namespace mlir;

namespace qlr {

KernelArguments::KernelArguments(KernelDefOp kernel) {
  ArgumentList list(kernel);
  int64_t next = 0;
  for (Value argument : list.arguments) {
    index[argument] = next;
    auto weight = dyn_cast<WeightType>(argument.getType());
    next += weight ? weightComponents(weight).size() : 1;
  }
  for (Value result : list.results)
    index[result] = next++;
  for (Value temporary : list.temporaries)
    index[temporary] = next++;
}

std::optional<int64_t> KernelArguments::find(Value value) const {
  auto found = index.find(value);
  if (found == index.end())
    return std::nullopt;
  return found->second;
}

} // namespace qlr
