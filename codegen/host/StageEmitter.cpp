// Addresses of a stage's values and the elementwise ops that are pulled into it.
#include "codegen/host/StageEmitter.h"

#include "passes/ArgumentList.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qlr {

LogicalResult StageEmitter::emit(Value begin, Value end) {
  LogicalResult result = success();
  // Decoders and pointers hoist what they need to the entry block, so that loops find it in registers.
  e.loop(begin, end, 1, [&](Value item) {
    current.clear();
    switch (stage.getDomain()) {
    case Domain::tokens:
      result = emitTokens(item);
      break;
    case Domain::blocks:
      result = emitBlocks(item);
      break;
    case Domain::strips:
      result = emitStrips(item);
      break;
    case Domain::heads:
      result = emitHeads(item);
      break;
    }
  });
  return result;
}

Value StageEmitter::pointer(Value value, int64_t component) {
  // The cache's memory is the operand's, whatever op names it now.
  if (isa<CacheType>(value.getType()))
    value = argumentBehind(value);
  // Inside the stage a result's buffer is known by the value that is yielded.
  if (!arguments.find(value))
    for (auto [output, yielded] : llvm::zip(stage.getOutputs(), stage.getYield().getValues()))
      if (yielded == value && arguments.find(output))
        value = output;
  auto [found, inserted] = pointers.try_emplace({value, component});
  if (inserted) {
    std::optional<int64_t> argument = arguments.find(value);
    assert(argument && "a value without memory has no address");
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(e.entry);
    found->second = e.load(e.ptr(), e.at(argumentArray, 8 * (*argument + component)), 8);
  }
  return found->second;
}

Value StageEmitter::elementAddress(Value matrix, Value token, Value column) {
  int64_t stride = rowStride(cast<RankedTensorType>(matrix.getType()).getDimSize(1));
  return e.at(pointer(matrix), e.mul(e.add(e.mul(token, stride), column), 4));
}

Value StageEmitter::signedToIndex(Value v) { return arith::ExtSIOp::create(e.b, e.i64(), v); }

Value StageEmitter::position(Value positionTensor) {
  return signedToIndex(e.load(e.i32(), pointer(positionTensor), 4));
}

int64_t StageEmitter::componentIndex(WeightType type, llvm::StringRef name) {
  for (auto [i, component] : llvm::enumerate(weightComponents(type)))
    if (component.name == name)
      return i;
  llvm_unreachable("the weight has no such component");
}

TileMatrix StageEmitter::tileMatrix(Value weight, int64_t rows, int64_t columns, CodecAttrInterface codec,
                                    int64_t firstComponent) {
  auto [found, inserted] = decoders.try_emplace({weight, firstComponent});
  if (inserted) {
    found->second = cast<HostCodecInterface>(codec).createTileDecoder();
    Value levels = codec.getLevelCount() ? pointer(weight, firstComponent + 2) : Value();
    OpBuilder::InsertionGuard guard(e.b);
    if (levels)
      e.b.setInsertionPointAfter(levels.getDefiningOp());
    else
      e.b.setInsertionPointToStart(e.entry);
    found->second->prepare(e, levels);
  }
  return {rows,
          columns,
          codec.getGroup(),
          codec.getActivationBits(),
          found->second,
          pointer(weight, firstComponent),
          pointer(weight, firstComponent + 1)};
}

FailureOr<Value> StageEmitter::pull(Value matrix, Value token, Value column, int64_t width) {
  if (auto found = current.find(matrix); found != current.end())
    return found->second;
  Operation *op = matrix.getDefiningOp();
  if (!op || op->getParentOp() != stage.getOperation()) {
    Value address = elementAddress(matrix, token, column);
    return e.load(e.vec(width, e.f32()), address, 4);
  }
  return pullElementwise(op, token, column, width);
}

FailureOr<Value> StageEmitter::pullElementwise(Operation *op, Value token, Value column, int64_t width) {
  auto type = e.vec(width, e.f32());
  // A vector read by columns, or one value per token read into every column.
  auto perColumn = [&](Value vector) { return e.load(type, e.at(pointer(vector), e.mul(column, 4)), 4); };
  auto perToken = [&](Value vector) {
    return e.broadcast(e.load(e.f32(), e.at(pointer(vector), e.mul(token, 4)), 4), type);
  };
  return llvm::TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](SliceOp slice) { return pull(slice.getX(), token, e.add(column, slice.getOffset()), width); })
      .Case([&](LastTokenOp last) {
        int64_t tokens = cast<RankedTensorType>(last.getX().getType()).getDimSize(0);
        return pull(last.getX(), e.add(token, tokens - 1), column, width);
      })
      .Case([&](AddOp add) -> FailureOr<Value> {
        auto a = pull(add.getA(), token, column, width), b = pull(add.getB(), token, column, width);
        if (failed(a) || failed(b))
          return failure();
        return arith::AddFOp::create(e.b, *a, *b).getResult();
      })
      .Case([&](BiasAddOp bias) -> FailureOr<Value> {
        auto x = pull(bias.getX(), token, column, width);
        if (failed(x))
          return failure();
        return arith::AddFOp::create(e.b, *x, perColumn(bias.getBias())).getResult();
      })
      .Case([&](NormApplyOp norm) -> FailureOr<Value> {
        auto x = pull(norm.getX(), token, column, width);
        if (failed(x))
          return failure();
        Value scaled = arith::MulFOp::create(e.b, *x, perToken(norm.getStat()));
        return arith::MulFOp::create(e.b, scaled, perColumn(norm.getWeight())).getResult();
      })
      .Case([&](ScaleColumnsOp scale) -> FailureOr<Value> {
        auto x = pull(scale.getX(), token, column, width);
        if (failed(x))
          return failure();
        return arith::MulFOp::create(e.b, *x, perColumn(scale.getWeight())).getResult();
      })
      .Case([&](ScaleTokensOp scale) -> FailureOr<Value> {
        auto x = pull(scale.getX(), token, column, width);
        if (failed(x))
          return failure();
        return arith::MulFOp::create(e.b, *x, perToken(scale.getStat())).getResult();
      })
      .Case([&](SwigluOp swiglu) -> FailureOr<Value> {
        auto gate = pull(swiglu.getGate(), token, column, width), up = pull(swiglu.getUp(), token, column, width);
        if (failed(gate) || failed(up))
          return failure();
        Value exponential = e.exp(arith::NegFOp::create(e.b, *gate));
        Value below = arith::AddFOp::create(e.b, exponential, e.splatF32(1, width));
        return arith::MulFOp::create(e.b, arith::DivFOp::create(e.b, *gate, below), *up).getResult();
      })
      .Default([&](Operation *other) -> FailureOr<Value> {
        return other->emitOpError("has no host lowering inside a stage of ") << stringifyDomain(stage.getDomain());
      });
}

} // namespace qlr
