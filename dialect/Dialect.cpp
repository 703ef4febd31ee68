// Registers the dialect's attributes, types and ops.
#include "dialect/Qlr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialect/QlrDialect.cpp.inc"

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
