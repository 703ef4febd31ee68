// Stages over strips of 16 rows: a product with a weight, the low-rank branch and the elementwise epilogue.
#include "codegen/nvptx/GpuStage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {

/// What a stage over strips consists of.
struct GpuStage::Strips {
  Operation *root = nullptr; // matmul or project; null where only expansions are (the unfused form)
  SmallVector<ExpandOp> expands;
  WeightType weight;
  int64_t tokens, columns, totalStrips; // of the result
  GpuVariant variant;
  std::string decode;

  bool isFloat() const { return root && weight.takesFloat(); }
  int64_t itemRows() const { return 16 * variant.strips; }
};

FailureOr<GpuStage::Strips> GpuStage::analyzeStrips() {
  Strips strips;
  for (Operation &op : stage.getBody().front()) {
    if (isa<MatmulOp, ProjectOp>(op)) {
      if (strips.root)
        return op.emitOpError("is the second product of a stage; a GPU kernel has one");
      strips.root = &op;
    } else if (auto expand = dyn_cast<ExpandOp>(op)) {
      strips.expands.push_back(expand);
    }
  }
  if (!strips.root && strips.expands.empty())
    return stage.emitOpError("over strips has neither a product nor an expansion");
  // Expansions add to the product's sums where they are, one after another.
  Value sums = strips.root ? strips.root->getResult(0) : Value(strips.expands.front().getY());
  for (ExpandOp expand : strips.expands) {
    if (expand.getY() != sums || (strips.root && !sums.hasOneUse()))
      return expand.emitOpError("does not add to what the product or the expansion before it made");
    sums = expand.getResult();
  }
  Value weight = strips.root ? strips.root->getOperand(1) : Value(strips.expands.front().getWeight());
  strips.weight = cast<WeightType>(weight.getType());
  auto result =
      cast<RankedTensorType>(strips.root ? strips.root->getResult(0).getType() : strips.expands.front().getType());
  strips.tokens = result.getDimSize(0);
  strips.columns = result.getDimSize(1);
  strips.totalStrips = (strips.columns + 15) / 16;
  auto text = [&](StringRef name) {
    auto attr = stage.getVariant() ? stage.getVariant()->getAs<StringAttr>(name) : StringAttr();
    return attr ? attr.getValue() : StringRef();
  };
  std::optional<Multiply> multiply = parseMultiply(text("multiply").empty() ? "imma" : text("multiply"));
  if (!multiply)
    return stage.emitOpError("has no such way to multiply: ") << text("multiply");
  strips.variant = {*multiply, stage.getVariantValue("strips", 8), stage.getVariantValue("splits", 1)};
  strips.decode = text("decode").str();
  if (strips.root && !strips.isFloat()) {
    if (strips.tokens > maxTokensOf(*multiply) || strips.variant.strips != stripsOf(*multiply))
      return stage.emitOpError("has a variant that does not fit: ")
             << text("multiply") << " takes " << stripsOf(*multiply) << " strips and at most " << maxTokensOf(*multiply)
             << " tokens";
  }
  return strips;
}

FailureOr<GpuMatrix> GpuStage::matrix(Value weight, StringRef codes, TileForm form, StringRef decode) {
  auto type = cast<WeightType>(weight.getType());
  const int64_t first = componentIndex(type, codes);
  CodecAttrInterface codec = weightComponents(type)[first].codec;
  Value levels = codec.getLevelCount() ? pointer(weight, first + 2) : Value();
  std::shared_ptr<GpuTileDecoder> decoder = decoders.get(e, codec, decode, form, levels);
  if (!decoder)
    return stage.emitOpError() << "asks for decoding " << decode << ", which " << codec.getCodecName() << " has not";
  GpuMatrix result{type.getRows(), type.getColumns(),      codec.getGroup(),          codec.getActivationBits(),
                   decoder,        pointer(weight, first), pointer(weight, first + 1)};
  if (codes == "r.codes")
    result.rows = type.projectedColumns();
  if (codes == "l.codes")
    result.columns = type.getRank();
  return result;
}

LogicalResult GpuStage::prepare() {
  if (stage.getDomain() != Domain::strips)
    return success();
  FailureOr<Strips> strips = analyzeStrips();
  if (failed(strips))
    return failure();
  if (strips->root && !strips->isFloat() && failed(rootMatrix(*strips)))
    return failure();
  for (ExpandOp expand : strips->expands)
    if (failed(matrix(expand.getWeight(), "l.codes", TileForm::Bytes, "")))
      return failure();
  return success();
}

/// Shared memory of the item's sums.
FailureOr<int64_t> GpuStage::resultBytes(const Strips &strips) {
  if (!strips.root || strips.isFloat())
    return strips.tokens * strips.itemRows() * 4;
  FailureOr<GpuMatrix> factor = rootMatrix(strips);
  if (failed(factor))
    return failure();
  return productBytes(*factor, strips.variant, strips.tokens);
}

FailureOr<GpuMatrix> GpuStage::rootMatrix(const Strips &strips) {
  const TileForm form = strips.tokens > 8 ? TileForm::Bytes : formOf(strips.variant.multiply);
  return matrix(strips.root->getOperand(1), isa<ProjectOp>(strips.root) ? "r.codes" : "q.codes", form, strips.decode);
}

/// The product of the item's columns, all scales applied, into `out`.
LogicalResult GpuStage::emitRoot(const Strips &strips, Value firstStrip, Value split, Value out) {
  Operation *root = strips.root;
  waitFor(root->getOperand(0));
  if (strips.isFloat()) {
    Value x = root->getOperand(0);
    const int64_t columns = strips.weight.getColumns();
    emitFloatProduct(e, cast<FloatCodecAttr>(strips.weight.getQ()).getElementType(), pointer(root->getOperand(1)),
                     strips.weight.getRows(), columns, pointer(x), rowStride(columns), strips.tokens, firstStrip,
                     strips.variant.strips, out);
    return success();
  }
  FailureOr<GpuMatrix> q = rootMatrix(strips);
  if (failed(q))
    return failure();
  GpuAct act{strips.tokens, actLayout(cast<ActType>(root->getOperand(0).getType())), pointer(root->getOperand(0))};
  const int64_t blocks = q->blocks(), perSplit = (blocks + strips.variant.splits - 1) / strips.variant.splits;
  BlockRange range{e.c32(0), e.c32(blocks)};
  if (strips.variant.splits > 1) {
    range.first = e.min(e.mul(split, perSplit), blocks);
    range.end = e.min(e.add(range.first, perSplit), blocks);
  }
  emitProduct(e, *q, act, firstStrip, range, strips.variant, out);
  if (!q->group) {
    e.forThreads(strips.tokens * strips.itemRows(), [&](Value i) {
      Value row = e.rem(i, strips.itemRows());
      Value strip = e.min(e.add(firstStrip, e.shr(row, 4)), q->strips() - 1);
      Value place = e.at(out, i, 4);
      e.store(e.mulf(e.loadF32(place), rowScale(e, *q, strip, e.andi(row, 15), e.c32(0))), place, 4);
    });
    e.barrier();
  }
  return success();
}

LogicalResult GpuStage::emitStrips(Value item) {
  FailureOr<Strips> found = analyzeStrips();
  if (failed(found))
    return failure();
  const Strips &strips = *found;
  const int64_t splits = strips.root ? strips.variant.splits : 1, elements = strips.tokens * strips.itemRows();
  Value group = e.div(item, splits), split = splits > 1 ? e.rem(item, splits) : Value();
  Value firstStrip = e.mul(group, strips.variant.strips);
  const int64_t mark = e.sharedMark();
  FailureOr<int64_t> outBytes = resultBytes(strips);
  if (failed(outBytes))
    return failure();
  Value out = e.shared(*outBytes);
  const int64_t resultEnd = e.sharedMark() - *outBytes + elements * 4;
  if (strips.root && failed(emitRoot(strips, firstStrip, split, out)))
    return failure();
  LogicalResult status = success();
  if (splits == 1) {
    status = emitEpilogue(strips, firstStrip, out, resultEnd);
  } else {
    // [strip group][split][token][row]; whoever comes last adds them in the order of the splits.
    Value parts = e.at(sync.partialMemory(), e.zext64(group), splits * elements * 4);
    Value own = e.at(parts, split, elements * 4);
    e.forThreads(elements, [&](Value i) { e.store(e.loadF32(e.at(out, i, 4)), e.at(own, i, 4), 4); });
    e.when(sync.arriveLast(group, splits), [&] {
      e.forThreads(elements, [&](Value i) {
        Value sum;
        for (int64_t s = 0; s < splits; ++s) {
          Value part = e.loadF32(e.at(e.at(parts, s * elements * 4), i, 4));
          sum = sum ? e.addf(sum, part) : part;
        }
        e.store(sum, e.at(out, i, 4), 4);
      });
      e.barrier();
      status = emitEpilogue(strips, firstStrip, out, resultEnd);
    });
  }
  e.sharedRelease(mark);
  return status;
}

LogicalResult GpuStage::emitEpilogue(const Strips &strips, Value firstStrip, Value out, int64_t resultEnd) {
  const int64_t rows = strips.itemRows(), elements = strips.tokens * rows;
  LogicalResult status = success();
  // Calls `body` with (token, column, place in out) for the elements that exist.
  auto forElements = [&](llvm::function_ref<LogicalResult(Value, Value, Value)> body) {
    e.forThreads(elements, [&](Value i) {
      Value token = strips.tokens == 1 ? e.c32(0) : e.div(i, rows);
      Value column = e.add(e.mul(firstStrip, 16), strips.tokens == 1 ? i : e.rem(i, rows));
      auto run = [&] {
        current.clear();
        if (failed(body(token, column, e.at(out, i, 4))))
          status = failure();
      };
      if (strips.columns % rows == 0)
        run();
      else
        e.when(e.ult(column, strips.columns), run);
    });
  };
  if (!strips.root) {
    Value y = ExpandOp(strips.expands.front()).getY();
    waitFor(y);
    // Expansions add to all rows of the item; those that do not exist start at zero.
    e.forThreads(elements, [&](Value i) { e.store(e.cf32(0), e.at(out, i, 4), 4); });
    forElements([&](Value token, Value column, Value place) -> LogicalResult {
      FailureOr<Value> v = pull(y, token, column);
      if (succeeded(v))
        e.store(*v, place, 4);
      return v;
    });
    e.barrier();
  }
  for (ExpandOp expand : SmallVector<ExpandOp>(strips.expands)) {
    waitFor(expand.getT());
    WeightType type = expand.getWeight().getType();
    FailureOr<GpuMatrix> left = matrix(expand.getWeight(), "l.codes", TileForm::Bytes, "");
    if (failed(left))
      return failure();
    // Operands of the product went through the memory behind the result, which is free again: taken where tables and
    // operands leave no other.
    if (e.sharedMark() + expandBytes(*left, strips.variant.strips) > kCommonSharedBytes)
      e.sharedRelease(resultEnd);
    // Every part of a stacked weight reads its own columns of t.
    const int64_t partColumns = type.projectedColumns() / type.numParts();
    auto tOf = [&](Value strip) {
      Value column = e.c32(0);
      int64_t row = 0;
      for (int64_t part : type.getParts().drop_back(type.getParts().empty() ? 0 : 1)) {
        row += part;
        column = e.add(column, e.select(e.uge(strip, row / 16), e.c32(partColumns), e.c32(0)));
      }
      return elementAddress(expand.getT(), e.c32(0), column);
    };
    emitExpand(e, *left, firstStrip, strips.variant.strips, strips.tokens, tOf, rowStride(type.projectedColumns()),
               out);
  }
  stage.getBody().walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      waitFor(operand);
  });
  forElements([&](Value token, Value column, Value place) -> LogicalResult {
    Value sum = e.loadF32(place);
    if (strips.root)
      current[strips.root->getResult(0)] = sum;
    for (ExpandOp expand : strips.expands)
      current[expand.getResult()] = sum;
    for (Value value : stage.getYield().getValues()) {
      FailureOr<Value> v = pull(value, token, column);
      if (failed(v))
        return failure();
      e.store(*v, elementAddress(value, token, column), 4);
    }
    return success();
  });
  return status;
}

} // namespace qlr
