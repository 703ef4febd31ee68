// Registers the dialect's attributes, types and ops.
#include "dialect/Qlr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialect/QlrDialect.cpp.inc"

#ifdef __SANITIZE_ADDRESS__
// LLVM's bump allocator marks its free memory as poisoned where a program that includes its header is built with the
// sanitizer; Debian's libLLVM and libMLIR are not, and take memory from the same allocators without unmarking it.
extern "C" const char *__asan_default_options();
const char *__asan_default_options() { return "allow_user_poisoning=0"; }
#endif

namespace qlr {
void QlrDialect::initialize() {
  registerAttributes();
  registerTypes();
  registerOps();
}

void QlrDialect::registerOps() {
  addOperations<
#define GET_OP_LIST
#include "dialect/QlrOps.cpp.inc"
      >();
}
} // namespace qlr

#include "dialect/QlrOpInterfaces.cpp.inc"
#define GET_OP_CLASSES
#include "dialect/QlrOps.cpp.inc"
