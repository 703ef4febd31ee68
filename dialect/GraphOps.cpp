// Verifiers of the graph ops. C1, C2, ... are the rules in the ops' descriptions.
#include "dialect/Qlr.h"

using namespace mlir;

namespace qlr {

namespace {
struct Shape {
  int64_t tokens, columns;
};
} // namespace

static Shape shapeOf(Type type) {
  if (auto act = dyn_cast<ActType>(type))
    return {act.getTokens(), act.getColumns()};
  auto tensor = cast<RankedTensorType>(type);
  return {tensor.getDimSize(0), tensor.getDimSize(1)};
}

/// Fails with "expects <what> <expected>, got <found>" unless they are equal.
static LogicalResult expect(Operation *op, const char *what, int64_t found, int64_t expected) {
  if (found == expected)
    return success();
  return op->emitOpError() << "expects " << what << " " << expected << ", got " << found;
}

static LogicalResult expectShape(Operation *op, Value result, int64_t tokens, int64_t columns) {
  Shape found = shapeOf(result.getType());
  if (found.tokens == tokens && found.columns == columns)
    return success();
  return op->emitOpError() << "expects a result of " << tokens << "x" << columns << ", got " << found.tokens << "x"
                           << found.columns;
}

static LogicalResult expectElements(Operation *op, const char *what, Value vector, int64_t expected) {
  return expect(op, what, cast<RankedTensorType>(vector.getType()).getDimSize(0), expected);
}

//===----------------------------------------------------------------------===//
// Rows of tokens, normalization, rotation
//===----------------------------------------------------------------------===//

LogicalResult EmbedOp::verify() {
  if (failed(
          expectShape(*this, getResult(), getIds().getType().getDimSize(0), getWeight().getType().getColumns()))) // C1
    return failure();
  if (getWeight().getType().getRank() || getWeight().getType().getRotation()) // C2
    return emitOpError("expects a weight without low-rank branch and rotation");
  return success();
}

LogicalResult LastTokenOp::verify() {
  return expectShape(*this, getResult(), 1, shapeOf(getX().getType()).columns); // C1
}

static LogicalResult expectEps(Operation *op, const APFloat &eps) {
  if (eps.isFiniteNonZero() && !eps.isNegative())
    return success();
  return op->emitOpError("expects a positive eps");
}

LogicalResult RmsNormOp::verify() {
  if (failed(expectElements(*this, "weight elements", getWeight(), shapeOf(getX().getType()).columns))) // C1
    return failure();
  return expectEps(*this, getEps()); // C2
}

LogicalResult RmsStatOp::verify() {
  if (failed(expectElements(*this, "result elements", getResult(), shapeOf(getX().getType()).tokens))) // C1
    return failure();
  return expectEps(*this, getEps()); // C2
}

LogicalResult NormApplyOp::verify() {
  Shape shape = shapeOf(getX().getType());
  if (failed(expectElements(*this, "stat elements", getStat(), shape.tokens))) // C1
    return failure();
  return expectElements(*this, "weight elements", getWeight(), shape.columns); // C2
}

LogicalResult ScaleColumnsOp::verify() {
  return expectElements(*this, "weight elements", getWeight(), shapeOf(getX().getType()).columns); // C1
}

LogicalResult ScaleTokensOp::verify() {
  return expectElements(*this, "stat elements", getStat(), shapeOf(getX().getType()).tokens); // C1
}

LogicalResult RotateOp::verify() {
  Shape shape = shapeOf(getX().getType());
  if (failed(expectShape(*this, getResult(), shape.tokens, shape.columns))) // C1
    return failure();
  if (!getSigns())
    return success();
  if (failed(expectElements(*this, "signs elements", getSigns(), shape.columns))) // C2
    return failure();
  if (getResult().getType().getRotation() == 0) // C3
    return emitOpError("expects no signs without rotation");
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static LogicalResult verifyActivations(Operation *op, ActType act, WeightType weight) {
  if (failed(expect(op, "activation sums of", act.getSums(), weight.sumColumns())))
    return failure();
  return expect(op, "activations rotated by", act.getRotation(), weight.getRotation());
}

static LogicalResult verifyProduct(Operation *op, Value x, WeightType weight, Value result) {
  Shape shape = shapeOf(x.getType());
  if (failed(expect(op, "columns of x", shape.columns, weight.getColumns()))) // C1
    return failure();
  if (failed(expectShape(op, result, shape.tokens, weight.getRows()))) // C2
    return failure();
  auto act = dyn_cast<ActType>(x.getType());
  if (weight.takesFloat() == bool(act)) // C3
    return op->emitOpError() << "expects " << (act ? "f32" : "quantized") << " activations for " << weight.getQ();
  return act ? verifyActivations(op, act, weight) : success(); // C4, C5
}

LogicalResult LinearOp::verify() {
  if (failed(verifyProduct(*this, getX(), getWeight().getType(), getResult())))
    return failure();
  if (!getBias())
    return success();
  return expectElements(*this, "bias elements", getBias(), getWeight().getType().getRows()); // C6
}

LogicalResult MatmulOp::verify() { return verifyProduct(*this, getX(), getWeight().getType(), getResult()); }

LogicalResult ProjectOp::verify() {
  WeightType weight = getWeight().getType();
  if (failed(expect(*this, "columns of x", getX().getType().getColumns(), weight.getColumns()))) // C1
    return failure();
  if (!weight.getRank()) // C2
    return emitOpError("expects a weight with a low-rank branch");
  if (failed(expectShape(*this, getResult(), getX().getType().getTokens(), weight.projectedColumns()))) // C3
    return failure();
  return verifyActivations(*this, getX().getType(), weight); // C5, C4
}

LogicalResult ExpandOp::verify() {
  WeightType weight = getWeight().getType();
  Shape y = shapeOf(getY().getType()), t = shapeOf(getT().getType());
  if (failed(expect(*this, "columns of y", y.columns, weight.getRows()))) // C1
    return failure();
  if (!weight.getRank()) // C2
    return emitOpError("expects a weight with a low-rank branch");
  if (failed(expect(*this, "columns of t", t.columns, weight.projectedColumns()))) // C3
    return failure();
  return expect(*this, "tokens of t", t.tokens, y.tokens); // C3
}

//===----------------------------------------------------------------------===//
// Elementwise ops and views
//===----------------------------------------------------------------------===//

LogicalResult BiasAddOp::verify() {
  return expectElements(*this, "bias elements", getBias(), shapeOf(getX().getType()).columns); // C1
}

LogicalResult SliceOp::verify() {
  Shape x = shapeOf(getX().getType()), result = shapeOf(getType());
  if (failed(expect(*this, "result tokens", result.tokens, x.tokens))) // C1
    return failure();
  int64_t offset = getOffset();
  if (offset < 0 || offset > x.columns || result.columns > x.columns - offset) // C2
    return emitOpError() << "expects columns inside " << x.columns << ", got " << result.columns << " from " << offset;
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult RopeOp::verify() {
  int64_t headDim = getHeadDim();
  if (headDim <= 0 || headDim % 2) // C2
    return emitOpError() << "expects an even and positive head_dim, got " << headDim;
  if (failed(expect(*this, "columns of x", shapeOf(getX().getType()).columns, int64_t(getHeads()) * headDim))) // C1
    return failure();
  if (!getTheta().isFiniteNonZero() || getTheta().isNegative()) // C3
    return emitOpError("expects a positive theta");
  return success();
}

LogicalResult CacheLayerOp::verify() {
  CacheType cache = getCache().getType(), result = getType();
  if (int64_t(getLayer()) < 0 || int64_t(getLayer()) >= cache.getLayers()) // C1
    return emitOpError() << "expects a layer below " << cache.getLayers() << ", got " << int64_t(getLayer());
  if (result != CacheType::get(getContext(), 1, cache.getKvHeads(), cache.getHeadDim(), cache.getElementType())) // C2
    return emitOpError() << "expects a result of one layer of " << cache << ", got " << result;
  return success();
}

LogicalResult CacheAppendOp::verify() {
  CacheType cache = getCache().getType();
  Shape k = shapeOf(getK().getType()), v = shapeOf(getV().getType());
  int64_t columns = cache.getKvHeads() * cache.getHeadDim();
  if (failed(expect(*this, "cache layers", cache.getLayers(), 1))) // C1
    return failure();
  if (failed(expect(*this, "columns of k", k.columns, columns)) ||
      failed(expect(*this, "columns of v", v.columns, columns))) // C2
    return failure();
  return expect(*this, "tokens of v", v.tokens, k.tokens); // C3
}

LogicalResult AttentionOp::verify() {
  CacheType cache = getCache().getType();
  if (failed(expect(*this, "cache layers", cache.getLayers(), 1))) // C1
    return failure();
  if (failed(expect(*this, "head_dim", getHeadDim(), cache.getHeadDim())) ||
      failed(expect(*this, "kv_heads", getKvHeads(), cache.getKvHeads()))) // C3
    return failure();
  int64_t heads = getHeads();
  if (heads <= 0 || heads % cache.getKvHeads()) // C4
    return emitOpError() << "expects heads to be a multiple of " << cache.getKvHeads() << ", got " << heads;
  return expect(*this, "columns of q", shapeOf(getQ().getType()).columns, heads * cache.getHeadDim()); // C2
}

} // namespace qlr
