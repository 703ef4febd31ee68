// Types: their text form and their rules.
#include "dialect/Qlr.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

/// `8x64` as two parameters.
static ParseResult parseShape(AsmParser &parser, int64_t &rows, int64_t &columns) {
  SmallVector<int64_t> shape;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false))
    return failure();
  if (shape.size() != 2)
    return parser.emitError(loc) << "expects two dimensions, got " << shape.size();
  rows = shape[0];
  columns = shape[1];
  return success();
}

static void printShape(AsmPrinter &printer, int64_t rows, int64_t columns) { printer << rows << 'x' << columns; }

#define GET_TYPEDEF_CLASSES
#include "dialect/QlrTypes.cpp.inc"

namespace qlr {

void QlrDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/QlrTypes.cpp.inc"
      >();
}

static bool isRotation(int64_t rotation, int64_t columns) {
  return rotation == 0 ||
         (rotation > 0 && rotation <= 128 && (rotation & (rotation - 1)) == 0 && columns % rotation == 0);
}

//===----------------------------------------------------------------------===//
// !qlr.weight
//===----------------------------------------------------------------------===//

LogicalResult WeightType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows, int64_t columns,
                                 CodecAttrInterface q, int64_t rank, CodecAttrInterface factors, int64_t rotation,
                                 ArrayRef<int64_t> parts) {
  if (rows <= 0 || columns <= 0) // C1
    return emitError() << "expects positive rows and columns, got " << rows << "x" << columns;
  if ((rank > 0) != bool(factors)) // C2
    return emitError() << "expects rank and factors together, got rank " << rank
                       << (factors ? " with factors" : " without factors");
  if (factors && factors.isPlainRows()) // C3
    return emitError() << "expects factors of a codec with tiles, got " << factors;
  if (q.isPlainRows() && (rank > 0 || rotation > 0)) // C4
    return emitError() << "expects no low-rank branch and no rotation with " << q;
  if (!isRotation(rotation, columns)) // C5
    return emitError() << "expects rotation 0 or a power of two up to 128 that divides " << columns << ", got "
                       << rotation;
  if (parts.empty())
    return success();
  int64_t sum = 0;
  for (auto [index, part] : llvm::enumerate(parts)) {
    if (part <= 0) // C6
      return emitError() << "expects positive parts, got " << part;
    if (index + 1 < parts.size() && part % 16) // C7
      return emitError() << "expects every part but the last to be a multiple of 16 rows, got " << part;
    sum += part;
  }
  if (parts.size() < 2 || sum != rows) // C6
    return emitError() << "expects at least two parts that sum to " << rows << " rows, got " << parts.size()
                       << " with sum " << sum;
  return success();
}

int64_t WeightType::sumColumns() const {
  int64_t columns = 128;
  for (CodecAttrInterface codec : {getQ(), getFactors()})
    if (codec && codec.getGroup())
      columns = std::min<int64_t>(columns, codec.getGroup());
  return columns;
}

Type WeightType::parse(AsmParser &parser) {
  int64_t rows = 0, columns = 0, rank = 0, rotation = 0;
  CodecAttrInterface q, factors;
  SmallVector<int64_t> parts;
  auto parseKey = [&]() -> ParseResult {
    StringRef key;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&key) || parser.parseEqual())
      return failure();
    if (key == "q")
      return parser.parseAttribute(q);
    if (key == "rank")
      return parser.parseInteger(rank);
    if (key == "factors")
      return parser.parseAttribute(factors);
    if (key == "rotation")
      return parser.parseInteger(rotation);
    if (key == "parts")
      return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                            [&] { return parser.parseInteger(parts.emplace_back()); });
    return parser.emitError(loc) << "expects q, rank, factors, rotation or parts, got " << key;
  };
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parseShape(parser, rows, columns))
    return {};
  while (succeeded(parser.parseOptionalComma()))
    if (parseKey())
      return {};
  if (parser.parseGreater())
    return {};
  if (!q)
    return parser.emitError(loc) << "expects q = a codec", Type();
  return parser.getChecked<WeightType>(loc, parser.getContext(), rows, columns, q, rank, factors, rotation, parts);
}

void WeightType::print(AsmPrinter &printer) const {
  printer << '<';
  printShape(printer, getRows(), getColumns());
  printer << ", q = " << getQ();
  if (getRank())
    printer << ", rank = " << getRank() << ", factors = " << getFactors();
  if (getRotation())
    printer << ", rotation = " << getRotation();
  if (!getParts().empty()) {
    printer << ", parts = [";
    llvm::interleaveComma(getParts(), printer);
    printer << ']';
  }
  printer << '>';
}

//===----------------------------------------------------------------------===//
// !qlr.act, !qlr.cache
//===----------------------------------------------------------------------===//

LogicalResult ActType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t tokens, int64_t columns,
                              int64_t block, int64_t sums, int64_t rotation) {
  if (tokens <= 0 || columns <= 0) // C1
    return emitError() << "expects positive tokens and columns, got " << tokens << "x" << columns;
  if (block != 128) // C2
    return emitError() << "expects block 128, got " << block;
  if (sums != 32 && sums != 64 && sums != 128) // C3
    return emitError() << "expects sums 32, 64 or 128, got " << sums;
  if (!isRotation(rotation, columns)) // C4
    return emitError() << "expects rotation 0 or a power of two up to 128 that divides " << columns << ", got "
                       << rotation;
  return success();
}

LogicalResult CacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t layers, int64_t kvHeads,
                                int64_t headDim, Type elementType) {
  if (layers <= 0 || kvHeads <= 0 || headDim <= 0) // C1
    return emitError() << "expects positive layers, heads and head dimension, got " << layers << ", " << kvHeads << ", "
                       << headDim;
  if (!elementType.isBF16() && !elementType.isF32()) // C2
    return emitError() << "expects bf16 or f32, got " << elementType;
  return success();
}

} // namespace qlr
