// Declarations, kernels and stages: symbol uses, text form, verifiers.
#include "dialect/Layout.h"

#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;

namespace qlr {

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

LogicalResult WeightDeclOp::verify() {
  auto type = cast<WeightType>(getType());
  if (int64_t(getParts().size()) != type.numParts()) // C1
    return emitOpError() << "expects " << type.numParts() << " parts, got " << getParts().size();
  if (auto offsets = getOffsets(); offsets && offsets->size() != weightComponents(type).size()) // C2
    return emitOpError() << "expects " << weightComponents(type).size() << " offsets, got " << offsets->size();
  return success();
}

LogicalResult VectorDeclOp::verify() {
  StringRef kind = getKind();
  if (kind != "norm" && kind != "bias" && kind != "signs") // C1
    return emitOpError() << "expects kind norm, bias or signs, got " << kind;
  if (getParts().empty()) // C2
    return emitOpError("expects at least one part");
  return success();
}

LogicalResult LevelsDeclOp::verify() {
  if (!getCodec().getLevelCount()) // C1
    return emitOpError() << "expects a codec with levels, got " << getCodec();
  return success();
}

/// C1 of the reference ops.
template <typename Decl>
static LogicalResult verifyRef(Operation *op, FlatSymbolRefAttr symbol, SymbolTableCollection &tables) {
  auto decl = tables.lookupNearestSymbolFrom<Decl>(op, symbol);
  if (!decl)
    return op->emitOpError() << "expects " << symbol << " to be a " << Decl::getOperationName();
  if (decl.getType() != op->getResult(0).getType())
    return op->emitOpError() << "expects the type of " << symbol << ", " << decl.getType() << ", got "
                             << op->getResult(0).getType();
  return success();
}

LogicalResult WeightRefOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyRef<WeightDeclOp>(*this, getSymbolAttr(), tables);
}

LogicalResult VectorRefOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifyRef<VectorDeclOp>(*this, getSymbolAttr(), tables);
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

LogicalResult KernelOp::verify() {
  Block &block = getBody().front();
  if (block.getArgumentTypes() != getInputs().getTypes()) // C1
    return emitOpError("expects region arguments of the operands' types");
  if (block.getTerminator()->getOperandTypes() != getOutputs().getTypes()) // C2
    return emitOpError("expects to yield values of the results' types");
  return success();
}

ParseResult KernelDefOp::parse(OpAsmParser &parser, OperationState &result) {
  auto buildType = [](Builder &builder, ArrayRef<Type> inputs, ArrayRef<Type> results,
                      function_interface_impl::VariadicFlag,
                      std::string &) { return builder.getFunctionType(inputs, results); };
  return function_interface_impl::parseFunctionOp(parser, result, /*allowVariadic=*/false,
                                                  getFunctionTypeAttrName(result.name), buildType,
                                                  getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void KernelDefOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

LogicalResult KernelDefOp::verify() {
  auto last = getBody().front().empty() ? ReturnOp() : dyn_cast<ReturnOp>(getBody().front().back());
  if (!last || last.getOperandTypes() != getResultTypes()) // C1
    return emitOpError("expects to end in qlr.return with values of the result types");
  return success();
}

ReturnOp KernelDefOp::getReturn() { return cast<ReturnOp>(getBody().front().getTerminator()); }

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &tables) {
  auto kernel = tables.lookupNearestSymbolFrom<KernelDefOp>(*this, getKernelAttr());
  if (!kernel) // C1
    return emitOpError() << "expects " << getKernelAttr() << " to be a qlr.kernel_def";
  if (getInputs().getTypes() != TypeRange(kernel.getArgumentTypes()) ||
      getOutputs().getTypes() != TypeRange(kernel.getResultTypes())) // C1
    return emitOpError() << "expects the type of " << getKernelAttr() << ", " << kernel.getFunctionType();
  return success();
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

LogicalResult StageOp::verify() {
  if (int64_t(getItems()) <= 0) // C1
    return emitOpError() << "expects at least one item, got " << int64_t(getItems());
  if (getBody().getNumArguments()) // C2
    return emitOpError("expects a block without arguments");
  if (getBody().front().getTerminator()->getOperandTypes() != getOutputs().getTypes()) // C3
    return emitOpError("expects to yield values of the results' types");
  return success();
}

int64_t StageOp::getVariantValue(StringRef name, int64_t otherwise) {
  if (auto variant = getVariant())
    if (auto value = variant->getAs<IntegerAttr>(name))
      return value.getInt();
  return otherwise;
}

YieldOp StageOp::getYield() { return cast<YieldOp>(getBody().front().getTerminator()); }

} // namespace qlr
