// The qlr dialect's classes.
#ifndef QLR_DIALECT_QLR_H
#define QLR_DIALECT_QLR_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace qlr {
/// How an operand of an elementwise op is read: as a matrix, as one value a token (repeated over
/// the columns), or as one value a column (repeated over the rows).
enum class Broadcast { None, Columns, Rows };

/// The attribute of a checkpoint's codec name, over all codec families; null for an unknown name.
mlir::Attribute codecFromName(mlir::MLIRContext *context, llvm::StringRef name);
} // namespace qlr

#include "dialect/QlrDialect.h.inc"
#include "dialect/QlrEnums.h.inc"

#include "dialect/QlrAttrInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/QlrAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/QlrOpInterfaces.h.inc"
#include "dialect/QlrTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/QlrOps.h.inc"

#endif // QLR_DIALECT_QLR_H
