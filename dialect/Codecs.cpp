// The codec families and the other attributes.
#include "dialect/Qlr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialect/QlrAttrInterfaces.cpp.inc"
#include "dialect/QlrEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/QlrAttrs.cpp.inc"

namespace qlr {

void QlrDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/QlrAttrs.cpp.inc"
      >();
}

/// Asks every attribute class that is a codec family.
template <typename... Attrs> static Attribute firstFromName(MLIRContext *context, StringRef name) {
  Attribute found;
  auto ask = [&]<typename A>(std::type_identity<A>) {
    if constexpr (requires { A::fromName(context, name); })
      if (!found)
        found = A::fromName(context, name);
  };
  (ask(std::type_identity<Attrs>{}), ...);
  return found;
}

Attribute codecFromName(MLIRContext *context, StringRef name) {
  return firstFromName<
#define GET_ATTRDEF_LIST
#include "dialect/QlrAttrs.cpp.inc"
      >(context, name);
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

LogicalResult IntCodecAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits, unsigned group) {
  if (bits != 2 && bits != 3 && bits != 4 && bits != 8) // C1
    return emitError() << "expects bits 2, 3, 4 or 8, got " << bits;
  if (group != 0 && group != 32 && group != 64 && group != 128) // C2
    return emitError() << "expects group 0, 32, 64 or 128, got " << group;
  return success();
}

Attribute IntCodecAttr::fromName(MLIRContext *context, StringRef name) {
  unsigned bits = 0, group = 0;
  if (!name.consume_front("int") || name.consumeInteger(10, bits))
    return {};
  if (!name.empty() && (!name.consume_front("g") || name.consumeInteger(10, group) || !name.empty() || group == 0))
    return {};
  return getChecked([&] { return mlir::InFlightDiagnostic(); }, context, bits, group);
}

std::string IntCodecAttr::getCodecName() const {
  std::string name = "int" + std::to_string(getBits());
  return getGroup() ? name + "g" + std::to_string(getGroup()) : name;
}

unsigned IntCodecAttr::getActivationBits() const { return getBits() <= 3 ? 8 : 16; }

double IntCodecAttr::getCostPerWeight() const { return getGroup() ? 1.1 : 1.0; }

//===----------------------------------------------------------------------===//
// Tile trellis
//===----------------------------------------------------------------------===//

LogicalResult TrellisCodecAttr::verify(function_ref<InFlightDiagnostic()> emitError, unsigned bits, unsigned window) {
  if (bits < 2 || bits > 4) // C1
    return emitError() << "expects bits 2, 3 or 4, got " << bits;
  if (window != 7 && window != 8) // C2
    return emitError() << "expects window 7 or 8, got " << window;
  return success();
}

Attribute TrellisCodecAttr::fromName(MLIRContext *context, StringRef name) {
  unsigned bits = 0, window = 7;
  if (!name.consume_front("trellis") || name.consumeInteger(10, bits))
    return {};
  if (!name.empty() && (!name.consume_front("w") || name.consumeInteger(10, window) || !name.empty() || window == 7))
    return {};
  return getChecked([&] { return mlir::InFlightDiagnostic(); }, context, bits, window);
}

std::string TrellisCodecAttr::getCodecName() const {
  std::string name = "trellis" + std::to_string(getBits());
  return getWindow() == 7 ? name : name + "w" + std::to_string(getWindow());
}

unsigned TrellisCodecAttr::getActivationBits() const { return getBits() <= 3 ? 8 : 16; }

double TrellisCodecAttr::getCostPerWeight() const { return getWindow() == 7 ? 1.2 : 1.5; }

//===----------------------------------------------------------------------===//
// Plain rows
//===----------------------------------------------------------------------===//

LogicalResult FloatCodecAttr::verify(function_ref<InFlightDiagnostic()> emitError, Type elementType) {
  if (!elementType.isBF16() && !elementType.isF32()) // C1
    return emitError() << "expects bf16 or f32, got " << elementType;
  return success();
}

Attribute FloatCodecAttr::fromName(MLIRContext *context, StringRef name) {
  if (name == "bf16")
    return get(context, BFloat16Type::get(context));
  if (name == "f32")
    return get(context, Float32Type::get(context));
  return {};
}

std::string FloatCodecAttr::getCodecName() const { return getElementType().isBF16() ? "bf16" : "f32"; }

unsigned FloatCodecAttr::getBits() const { return getElementType().getIntOrFloatBitWidth(); }

unsigned FloatCodecAttr::getActivationBits() const { return 0; }

double FloatCodecAttr::getCostPerWeight() const { return 2.0; }

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

LogicalResult ArgAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArgKind, int64_t offset) {
  if (offset < 0) // C1
    return emitError() << "expects an offset of at least 0, got " << offset;
  return success();
}

} // namespace qlr
