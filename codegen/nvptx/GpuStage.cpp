// Addresses of a stage's values and the elementwise ops that are pulled into it, one element at a time.
#include "codegen/nvptx/GpuStage.h"

#include "passes/ArgumentList.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qlr {

std::shared_ptr<GpuTileDecoder> DecoderCache::get(GpuEmitter &e, CodecAttrInterface codec, StringRef decode,
                                                  TileForm form, Value levels) {
  auto [found, inserted] = decoders.try_emplace({codec.getAsOpaquePointer(), decode.str(), form});
  if (inserted) {
    found->second = cast<GpuCodecInterface>(codec).createGpuTileDecoder(decode);
    if (found->second) {
      found->second->levels = levels;
      found->second->prepare(e, form);
    }
  }
  return found->second;
}

void GpuStage::waitFor(Value value) {
  auto result = dyn_cast<OpResult>(value);
  auto before = result ? dyn_cast<StageOp>(result.getOwner()) : StageOp();
  if (!before || before == stage || !waited.insert(before).second)
    return;
  int64_t number = 0;
  for (auto other : stage->getBlock()->getOps<StageOp>()) {
    if (other == before)
      break;
    ++number;
  }
  sync.waitForStage(number, gpuItems(before));
}

LogicalResult GpuStage::emitItem(Value item) {
  current.clear();
  waited.clear();
  // A product waits for its low-rank branch and its epilogue's operands only when it gets there.
  if (stage.getDomain() != Domain::strips)
    stage.getBody().walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        waitFor(operand);
    });
  switch (stage.getDomain()) {
  case Domain::tokens:
    return emitTokens(item);
  case Domain::blocks:
    return emitBlocks(item);
  case Domain::strips:
    return emitStrips(item);
  case Domain::heads:
    return emitHeads(item);
  }
  llvm_unreachable("unknown domain");
}

Value GpuStage::pointer(Value value, int64_t component) {
  // The cache's memory is the operand's, whatever op names it now.
  if (isa<CacheType>(value.getType()))
    value = argumentBehind(value);
  // Inside the stage a result's buffer is known by the value that is yielded.
  if (!arguments.find(value))
    for (auto [output, yielded] : llvm::zip(stage.getOutputs(), stage.getYield().getValues()))
      if (yielded == value && arguments.find(output))
        value = output;
  std::optional<int64_t> argument = arguments.find(value);
  assert(argument && "a value without memory has no address");
  return e.entry->getArgument(*argument + component);
}

Value GpuStage::elementAddress(Value matrix, Value token, Value column) {
  int64_t stride = rowStride(cast<RankedTensorType>(matrix.getType()).getDimSize(1));
  return e.at(pointer(matrix), e.add(e.mul(e.zext64(token), stride), e.zext64(column)), 4);
}

Value GpuStage::loadVector(Value vector, Value index) {
  // Not the read-only path: a statistic may be written while this launch runs.
  return e.loadF32(e.at(pointer(vector), index, 4));
}

Value GpuStage::position(Value positionTensor) { return e.loadI32(pointer(positionTensor)); }

int64_t GpuStage::componentIndex(WeightType type, llvm::StringRef name) {
  for (auto [i, component] : llvm::enumerate(weightComponents(type)))
    if (component.name == name)
      return i;
  llvm_unreachable("the weight has no such component");
}

FailureOr<Value> GpuStage::pull(Value matrix, Value token, Value column) {
  if (auto found = current.find(matrix); found != current.end())
    return found->second;
  Operation *op = matrix.getDefiningOp();
  if (!isInStage(op))
    return e.loadF32(elementAddress(matrix, token, column));
  return pullElementwise(op, token, column);
}

FailureOr<Value> GpuStage::pullElementwise(Operation *op, Value token, Value column) {
  return llvm::TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](SliceOp slice) { return pull(slice.getX(), token, e.add(column, slice.getOffset())); })
      .Case([&](LastTokenOp last) {
        int64_t tokens = cast<RankedTensorType>(last.getX().getType()).getDimSize(0);
        return pull(last.getX(), e.add(token, tokens - 1), column);
      })
      .Case([&](AddOp add) -> FailureOr<Value> {
        auto a = pull(add.getA(), token, column), b = pull(add.getB(), token, column);
        if (failed(a) || failed(b))
          return failure();
        return e.addf(*a, *b);
      })
      .Case([&](BiasAddOp bias) -> FailureOr<Value> {
        auto x = pull(bias.getX(), token, column);
        if (failed(x))
          return failure();
        return e.addf(*x, loadVector(bias.getBias(), column));
      })
      .Case([&](NormApplyOp norm) -> FailureOr<Value> {
        auto x = pull(norm.getX(), token, column);
        if (failed(x))
          return failure();
        return e.mulf(e.mulf(*x, loadVector(norm.getStat(), token)), loadVector(norm.getWeight(), column));
      })
      .Case([&](ScaleColumnsOp scale) -> FailureOr<Value> {
        auto x = pull(scale.getX(), token, column);
        if (failed(x))
          return failure();
        return e.mulf(*x, loadVector(scale.getWeight(), column));
      })
      .Case([&](ScaleTokensOp scale) -> FailureOr<Value> {
        auto x = pull(scale.getX(), token, column);
        if (failed(x))
          return failure();
        return e.mulf(*x, loadVector(scale.getStat(), token));
      })
      .Case([&](SwigluOp swiglu) -> FailureOr<Value> {
        auto gate = pull(swiglu.getGate(), token, column), up = pull(swiglu.getUp(), token, column);
        if (failed(gate) || failed(up))
          return failure();
        Value below = e.addf(e.exp(arith::NegFOp::create(e.b, *gate)), e.cf32(1));
        return e.mulf(e.divf(*gate, below), *up);
      })
      .Default([&](Operation *other) -> FailureOr<Value> {
        return other->emitOpError("has no GPU lowering inside a stage of ") << stringifyDomain(stage.getDomain());
      });
}

} // namespace qlr
