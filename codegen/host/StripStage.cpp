// Stages over strips of 16 rows: a product with a weight, the low-rank branch and the elementwise epilogue.
#include "codegen/host/StageEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace qlr {

/// The address of t's columns that belong to the part of the weight that `strip` lies in, for token 0.
Value StageEmitter::expandSlice(ExpandOp op, Value strip) {
  WeightType type = op.getWeight().getType();
  const int64_t partColumns = type.projectedColumns() / type.numParts();
  Value column = e.c64(0);
  int64_t row = 0;
  for (int64_t rows : type.getParts().drop_back(type.getParts().empty() ? 0 : 1)) {
    row += rows;
    Value beyond = arith::CmpIOp::create(e.b, arith::CmpIPredicate::uge, strip, e.c64(row / 16));
    Value step = arith::SelectOp::create(e.b, beyond, e.c64(partColumns), e.c64(0));
    column = e.add(column, step);
  }
  return elementAddress(op.getT(), e.c64(0), column);
}

LogicalResult StageEmitter::emitStrips(Value item) {
  Operation *root = nullptr;
  SmallVector<ExpandOp> expands;
  for (Operation &op : stage.getBody().front()) {
    if (isa<MatmulOp, ProjectOp>(op)) {
      if (root)
        return op.emitOpError("is the second product of a stage; the host lowers one");
      root = &op;
    } else if (auto expand = dyn_cast<ExpandOp>(op)) {
      expands.push_back(expand);
    }
  }
  // The unfused form has stages that only expand.
  if (!root && expands.empty())
    return stage.emitOpError("over strips has neither a product nor an expansion");
  Value weightValue = root ? root->getOperand(1) : Value(expands.front().getWeight());
  auto weight = cast<WeightType>(weightValue.getType());
  auto result = cast<RankedTensorType>(root ? root->getResult(0).getType() : expands.front().getType());
  const int64_t tokens = result.getDimSize(0), totalStrips = (result.getDimSize(1) + 15) / 16;

  const bool isFloat = root && weight.takesFloat();
  MatmulVariant variant;
  variant.strips = isFloat ? 1 : std::min<int64_t>(stage.getVariantValue("strips", 1), totalStrips);
  variant.accumulators = stage.getVariantValue("accumulators", 4);
  variant.tokens = stage.getVariantValue("tokens", 8);
  // The last item may overlap the one before it: the rows they share get the same values twice.
  Value firstStrip = e.min(e.mul(item, variant.strips), e.c64(totalStrips - variant.strips));

  // Products of several tokens pass through a buffer [strips][tokens][16]; those of one token stay in registers.
  const int64_t stripBytes = tokens * kLanes * 4;
  SmallVector<Value> products;
  Value buffer;
  if (isFloat) {
    buffer = e.stack(stripBytes);
    emitFloatProducts(cast<MatmulOp>(root), firstStrip, buffer);
  } else if (root) {
    const bool isProject = isa<ProjectOp>(root);
    TileMatrix matrix = isProject
                            ? tileMatrix(root->getOperand(1), weight.projectedColumns(), weight.getColumns(),
                                         weight.getFactors(), componentIndex(weight, "r.codes"))
                            : tileMatrix(root->getOperand(1), weight.getRows(), weight.getColumns(), weight.getQ(), 0);
    ActBuffer act(cast<ActType>(root->getOperand(0).getType()), pointer(root->getOperand(0)));
    if (tokens == 1) {
      products = emitMatVec(e, matrix, act, firstStrip, variant);
    } else {
      buffer = e.stack(variant.strips * stripBytes);
      emitMatMat(e, matrix, act, firstStrip, variant, buffer);
    }
  }

  LogicalResult status = success();
  for (int64_t s = 0; s < variant.strips; ++s) {
    Value strip = e.add(firstStrip, s), column = e.mul(strip, kLanes);
    SmallVector<Value> expanded; // one vector (a token) or a buffer each
    for (ExpandOp expand : expands) {
      WeightType type = expand.getWeight().getType();
      TileMatrix matrix = tileMatrix(expand.getWeight(), type.getRows(), type.getRank(), type.getFactors(),
                                     componentIndex(type, "l.codes"));
      Value t = expandSlice(expand, strip);
      if (tokens == 1) {
        expanded.push_back(emitExpandOne(e, matrix, strip, t));
      } else {
        Value share = e.stack(stripBytes);
        emitExpandMany(e, matrix, strip, t, tokens, rowStride(type.projectedColumns()) * 4, share);
        expanded.push_back(share);
      }
    }
    auto finish = [&](Value token) {
      current.clear();
      Value offset = e.mul(token, kLanes * 4);
      if (root)
        current[root->getResult(0)] =
            buffer ? e.load(e.vecF32(), e.at(buffer, e.add(offset, s * stripBytes)), 64) : products[s];
      for (auto [expand, share] : llvm::zip(expands, expanded)) {
        FailureOr<Value> y = pull(expand.getY(), token, column, kLanes);
        if (failed(y)) {
          status = failure();
          return;
        }
        Value added = tokens == 1 ? share : e.load(e.vecF32(), e.at(share, offset), 64);
        current[expand.getResult()] = arith::AddFOp::create(e.b, *y, added);
      }
      for (Value value : stage.getYield().getValues()) {
        FailureOr<Value> v = pull(value, token, column, kLanes);
        if (failed(v)) {
          status = failure();
          return;
        }
        e.store(*v, elementAddress(value, token, column), 64);
      }
    };
    if (tokens == 1)
      finish(e.c64(0));
    else
      e.loop(tokens, finish);
  }
  return status;
}

} // namespace qlr
