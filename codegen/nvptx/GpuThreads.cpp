// Where a thread is, what threads do together, and functions of fp32: the rest of GpuEmitter.h.
#include "codegen/nvptx/GpuEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;

namespace qlr {

Value GpuEmitter::hoisted(Value &cache, llvm::function_ref<Value()> make) {
  if (!cache) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    cache = make();
  }
  return cache;
}
Value GpuEmitter::tid() {
  return hoisted(tidValue, [&] { return intrinsic("llvm.nvvm.read.ptx.sreg.tid.x", i32(), ValueRange()); });
}
Value GpuEmitter::block() {
  return hoisted(blockValue, [&] { return intrinsic("llvm.nvvm.read.ptx.sreg.ctaid.x", i32(), ValueRange()); });
}
Value GpuEmitter::blocks() {
  return hoisted(blocksValue, [&] { return intrinsic("llvm.nvvm.read.ptx.sreg.nctaid.x", i32(), ValueRange()); });
}
Value GpuEmitter::lane() {
  Value t = tid();
  if (!laneValue) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(t.getDefiningOp());
    laneValue = andi(t, kWarp - 1);
  }
  return laneValue;
}
Value GpuEmitter::warp() {
  Value t = tid();
  if (!warpValue) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(t.getDefiningOp());
    warpValue = shr(t, 5);
  }
  return warpValue;
}

void GpuEmitter::barrier() { intrinsic("llvm.nvvm.barrier.cta.sync.aligned.all", ValueRange{c32(0)}); }
void GpuEmitter::warpBarrier() { intrinsic("llvm.nvvm.bar.warp.sync", ValueRange{c32(-1)}); }

Value GpuEmitter::shuffleXor(Value v, int64_t mask) {
  bool isFloat = isa<FloatType>(v.getType());
  return intrinsic(isFloat ? "llvm.nvvm.shfl.sync.bfly.f32" : "llvm.nvvm.shfl.sync.bfly.i32", v.getType(),
                   {c32(-1), v, c32(mask), c32(31)});
}
Value GpuEmitter::shuffleIdx(Value v, Value lane) {
  bool isFloat = isa<FloatType>(v.getType());
  return intrinsic(isFloat ? "llvm.nvvm.shfl.sync.idx.f32" : "llvm.nvvm.shfl.sync.idx.i32", v.getType(),
                   {c32(-1), v, lane, c32(31)});
}
Value GpuEmitter::warpSum(Value v, int64_t lanes) {
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2)
    v = addf(v, shuffleXor(v, mask));
  return v;
}
Value GpuEmitter::warpMax(Value v, int64_t lanes) {
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2)
    v = maxf(v, shuffleXor(v, mask));
  return v;
}
Value GpuEmitter::warpMaxNan(Value v, int64_t lanes) {
  for (int64_t mask = lanes / 2; mask > 0; mask /= 2)
    v = maxfNan(v, shuffleXor(v, mask));
  return v;
}

Value GpuEmitter::exp(Value x) {
  // Clamped by selects, which let a NaN through.
  auto clamp = [&](arith::CmpFPredicate beyond, double limit) {
    x = select(arith::CmpFOp::create(b, beyond, x, cf32(limit)), cf32(limit), x);
  };
  clamp(arith::CmpFPredicate::OLT, -87.0);
  clamp(arith::CmpFPredicate::OGT, 88.0);
  // n = round(x / ln 2); the remainder with ln 2 in two parts (Cody and Waite) keeps |r| <= ln(2)/2 exact to fp32.
  Value n = roundEven(mulf(x, cf32(1.44269504f)));
  Value r = fma(n, cf32(-0.693359375f), x);
  r = fma(n, cf32(2.12194440e-4f), r);
  // Taylor to degree 7: the last term left out is below 2^-26.
  Value p = cf32(1.0f / 5040);
  for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    p = fma(p, r, cf32(c));
  return bitcast(add(bitcast(p, i32()), shl(fptosi(n), 23)), f32());
}

std::pair<Value, Value> GpuEmitter::sinCosTurns(Value turns) {
  // In fp64 only what needs it: the whole turns. The rest, in [-1/2, 1/2], is split into quarter turns and an angle of
  // at most pi/4, where short fp32 polynomials do.
  Value whole = intrinsic("llvm.rint", f64(), turns);
  Value rest = arith::TruncFOp::create(b, f32(), arith::SubFOp::create(b, turns, whole));
  Value quarters = roundEven(mulf(rest, cf32(4)));
  Value x = mulf(fma(quarters, cf32(-0.25), rest), cf32(2 * M_PI));
  Value square = mulf(x, x);
  // Taylor to degrees 9 and 10: (pi/4)^11 / 11! < 2e-9.
  Value sine = cf32(0), cosine = cf32(0);
  for (int k = 4; k >= 0; --k)
    sine = fma(sine, square, cf32((k % 2 ? -1.0 : 1.0) / std::tgamma(2 * k + 2)));
  for (int k = 5; k >= 0; --k)
    cosine = fma(cosine, square, cf32((k % 2 ? -1.0 : 1.0) / std::tgamma(2 * k + 1)));
  sine = mulf(sine, x);
  Value quarter = fptosi(quarters);
  Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, andi(quarter, 1), c32(0));
  auto negateWhen = [&](Value bit, Value v) {
    return bitcast(arith::XOrIOp::create(b, bitcast(v, i32()), shl(bit, 31)), f32());
  };
  // sin(x + q pi/2): sin, cos, -sin, -cos; cos: cos, -sin, -cos, sin.
  Value high = andi(shr(quarter, 1), 1), low = andi(quarter, 1);
  Value turnedSine = negateWhen(high, select(odd, cosine, sine));
  Value turnedCosine = negateWhen(arith::XOrIOp::create(b, high, low), select(odd, sine, cosine));
  return {turnedSine, turnedCosine};
}

} // namespace qlr
