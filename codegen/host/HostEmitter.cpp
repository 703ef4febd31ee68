// Helpers of HostEmitter.h.
#include "codegen/host/HostEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include "llvm/ADT/Sequence.h"

#include <cmath>

using namespace mlir;

namespace qlr {

llvm::StringRef levelSuffix(CpuLevel level) { return level == CpuLevel::Avx512 ? "avx512" : "avx2"; }

Value HostEmitter::c64(int64_t v) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(v)); }
Value HostEmitter::c32(int64_t v) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(v)); }
Value HostEmitter::cf32(float v) { return arith::ConstantOp::create(b, b.getF32FloatAttr(v)); }

Value HostEmitter::splatF32(float v, int64_t lanes) {
  return arith::ConstantOp::create(b, DenseElementsAttr::get(vec(lanes, f32()), v));
}
Value HostEmitter::splatI32(int64_t v, int64_t lanes) {
  return arith::ConstantOp::create(b, DenseElementsAttr::get(vec(lanes, i32()), static_cast<int32_t>(v)));
}
Value HostEmitter::constI8(llvm::ArrayRef<int8_t> lanes) {
  return arith::ConstantOp::create(b, DenseElementsAttr::get(vec(lanes.size(), i8()), lanes));
}
Value HostEmitter::constI32(llvm::ArrayRef<int32_t> lanes) {
  return arith::ConstantOp::create(b, DenseElementsAttr::get(vec(lanes.size(), i32()), lanes));
}

Value HostEmitter::add(Value a, Value c) { return arith::AddIOp::create(b, a, c); }
Value HostEmitter::mul(Value a, Value c) { return arith::MulIOp::create(b, a, c); }
// Indices are never negative: unsigned division lets LLVM use shifts.
Value HostEmitter::div(Value a, int64_t c) { return c == 1 ? a : arith::DivUIOp::create(b, a, c64(c)).getResult(); }
Value HostEmitter::rem(Value a, int64_t c) { return arith::RemUIOp::create(b, a, c64(c)); }
Value HostEmitter::min(Value a, Value c) { return arith::MinUIOp::create(b, a, c); }

Value HostEmitter::at(Value base, Value byteOffset) {
  return LLVM::GEPOp::create(b, ptr(), i8(), base, ArrayRef<LLVM::GEPArg>{byteOffset}, LLVM::GEPNoWrapFlags::inbounds);
}
Value HostEmitter::at(Value base, int64_t byteOffset) {
  if (byteOffset == 0)
    return base;
  return at(base, c64(byteOffset));
}
Value HostEmitter::load(Type type, Value address, unsigned align) {
  return LLVM::LoadOp::create(b, type, address, align);
}
void HostEmitter::store(Value value, Value address, unsigned align) { LLVM::StoreOp::create(b, value, address, align); }

void HostEmitter::prefetch(Value address) { LLVM::Prefetch::create(b, address, /*rw=*/0, /*hint=*/3, /*cache=*/1); }

Value HostEmitter::stack(int64_t bytes) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(entry);
  return LLVM::AllocaOp::create(b, ptr(), i8(), c64(bytes), 64);
}

Value HostEmitter::broadcast(Value scalar, VectorType type) { return vector::BroadcastOp::create(b, type, scalar); }
Value HostEmitter::bitcast(Value v, VectorType type) { return vector::BitCastOp::create(b, type, v); }
Value HostEmitter::shuffle(Value a, Value c, llvm::ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(b, a, c, lanes);
}
Value HostEmitter::slice(Value v, int64_t offset, int64_t size) {
  return shuffle(v, v, llvm::to_vector(llvm::seq(offset, offset + size)));
}
Value HostEmitter::concat(Value low, Value high) {
  int64_t lanes = 2 * cast<VectorType>(low.getType()).getNumElements();
  return shuffle(low, high, llvm::to_vector(llvm::seq<int64_t>(0, lanes)));
}
Value HostEmitter::extract(Value v, int64_t lane) { return vector::ExtractOp::create(b, v, ArrayRef<int64_t>{lane}); }
Value HostEmitter::fma(Value a, Value c, Value addend) { return math::FmaOp::create(b, a, c, addend); }

Value HostEmitter::halve(Value v, llvm::function_ref<Value(Value, Value)> combine) {
  for (int64_t n = cast<VectorType>(v.getType()).getNumElements(); n > 1; n /= 2)
    v = combine(slice(v, 0, n / 2), slice(v, n / 2, n / 2));
  return extract(v, 0);
}
Value HostEmitter::sumLanes(Value v) {
  bool isFloat = isa<FloatType>(cast<VectorType>(v.getType()).getElementType());
  return halve(v, [&](Value a, Value c) -> Value {
    if (isFloat)
      return arith::AddFOp::create(b, a, c);
    return arith::AddIOp::create(b, a, c);
  });
}
Value HostEmitter::maxLanes(Value v) {
  return halve(v, [&](Value a, Value c) -> Value { return arith::MaxNumFOp::create(b, a, c); });
}

Value HostEmitter::intrinsic(llvm::StringRef name, Type result, ValueRange args) {
  return LLVM::CallIntrinsicOp::create(b, result, b.getStringAttr(name), args).getResult(0);
}

Value HostEmitter::exp(Value x) {
  auto type = cast<VectorType>(x.getType());
  int64_t lanes = type.getNumElements();
  auto constant = [&](float v) { return splatF32(v, lanes); };
  // Clamped by selects, which let a NaN through.
  auto clamp = [&](arith::CmpFPredicate beyond, float limit) {
    x = arith::SelectOp::create(b, arith::CmpFOp::create(b, beyond, x, constant(limit)), constant(limit), x);
  };
  clamp(arith::CmpFPredicate::OLT, -87.0f);
  clamp(arith::CmpFPredicate::OGT, 88.0f);
  // n = round(x / ln 2); the remainder with ln 2 in two parts (Cody and Waite) keeps |r| <= ln(2)/2 exact to fp32.
  Value n = math::RoundEvenOp::create(b, arith::MulFOp::create(b, x, constant(1.44269504f)));
  Value r = fma(n, constant(-0.693359375f), x);
  r = fma(n, constant(2.12194440e-4f), r);
  // Taylor to degree 7: the last term left out is below 2^-26.
  const float coefficients[] = {1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
  Value p = constant(coefficients[0]);
  for (float c : llvm::drop_begin(coefficients))
    p = fma(p, r, constant(c));
  Value exponent = arith::FPToSIOp::create(b, vec(lanes, i32()), n);
  exponent = arith::ShLIOp::create(b, exponent, splatI32(23, lanes));
  Value bits = arith::AddIOp::create(b, bitcast(p, vec(lanes, i32())), exponent);
  return bitcast(bits, type);
}

std::pair<Value, Value> HostEmitter::sinCosTurns(Value turns) {
  auto type = cast<VectorType>(turns.getType());
  auto constant = [&](double v) -> Value { return arith::ConstantOp::create(b, DenseElementsAttr::get(type, v)); };
  Value whole = math::RoundEvenOp::create(b, turns);
  Value x = arith::MulFOp::create(b, arith::SubFOp::create(b, turns, whole), constant(2.0 * M_PI));
  Value square = arith::MulFOp::create(b, x, x);
  // Taylor on [-pi, pi] to degree 23: pi^25 / 25! < 1e-13.
  Value sine = constant(0), cosine = constant(0);
  for (int k = 11; k >= 0; --k) {
    double sign = k % 2 ? -1.0 : 1.0;
    sine = fma(sine, square, constant(sign / std::tgamma(2 * k + 2)));
    cosine = fma(cosine, square, constant(sign / std::tgamma(2 * k + 1)));
  }
  return {arith::MulFOp::create(b, sine, x), cosine};
}

SmallVector<Value> HostEmitter::loop(Value lower, Value upper, int64_t step, ValueRange init, LoopBody body) {
  auto loopOp = scf::ForOp::create(b, lower, upper, c64(step), init,
                                   [&](OpBuilder &inner, Location loc, Value i, ValueRange carried) {
                                     OpBuilder::InsertionGuard guard(b);
                                     b.restoreInsertionPoint(inner.saveInsertionPoint());
                                     SmallVector<Value> next = body(i, carried);
                                     scf::YieldOp::create(b, next);
                                   });
  return SmallVector<Value>(loopOp.getResults().begin(), loopOp.getResults().end());
}
void HostEmitter::loop(Value lower, Value upper, int64_t step, llvm::function_ref<void(Value)> body) {
  loop(lower, upper, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}
void HostEmitter::when(Value condition, llvm::function_ref<void()> body) {
  scf::IfOp::create(b, condition, [&](OpBuilder &inner, Location loc) {
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(inner.saveInsertionPoint());
    body();
    scf::YieldOp::create(b);
  });
}

} // namespace qlr
