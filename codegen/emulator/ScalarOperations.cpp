#include "codegen/emulator/ScalarOperations.h"

#include <array>

using namespace llvm;

namespace qlr {
namespace {

/// Byte (selector & 7) of the eight bytes in `pool`, as an i32 of 0 to 255.
Value *poolByte(IRBuilder<> &builder, Value *pool, Value *selector) {
  Value *shift = builder.CreateShl(builder.CreateAnd(builder.CreateZExt(selector, builder.getInt64Ty()), 7), 3);
  return builder.CreateAnd(builder.CreateTrunc(builder.CreateLShr(pool, shift), builder.getInt32Ty()), 0xff);
}

Value *poolOf(IRBuilder<> &builder, Value *a, Value *b) {
  Type *wide = builder.getInt64Ty();
  Value *high = b ? builder.CreateShl(builder.CreateZExt(b, wide), 32) : nullptr;
  Value *low = builder.CreateZExt(a, wide);
  return high ? builder.CreateOr(low, high) : low;
}

Value *joinBytes(IRBuilder<> &builder, ArrayRef<Value *> bytes) {
  Value *result = bytes[0];
  for (unsigned i = 1; i < 4; ++i)
    result = builder.CreateOr(result, builder.CreateShl(bytes[i], 8 * i));
  return result;
}

/// Zero of the same sign in place of a denormal.
Value *flush(IRBuilder<> &builder, Value *value) {
  Value *bits = builder.CreateBitCast(value, builder.getInt32Ty());
  Value *denormal = builder.CreateICmpEQ(builder.CreateAnd(bits, 0x7f800000), builder.getInt32(0));
  Value *sign = builder.CreateAnd(bits, 0x80000000);
  return builder.CreateBitCast(builder.CreateSelect(denormal, sign, bits), value->getType());
}

} // namespace

Value *emitDot4(IRBuilder<> &builder, ArrayRef<Value *> abc, bool signedA, bool signedB) {
  auto *bytes = FixedVectorType::get(builder.getInt8Ty(), 4);
  auto *words = FixedVectorType::get(builder.getInt32Ty(), 4);
  Value *a = builder.CreateIntCast(builder.CreateBitCast(abc[0], bytes), words, signedA);
  Value *b = builder.CreateIntCast(builder.CreateBitCast(abc[1], bytes), words, signedB);
  return builder.CreateAdd(builder.CreateAddReduce(builder.CreateMul(a, b)), abc[2]);
}

Value *emitPermute(IRBuilder<> &builder, ArrayRef<Value *> abs) {
  Value *pool = poolOf(builder, abs[0], abs[1]);
  std::array<Value *, 4> bytes;
  for (unsigned i = 0; i < 4; ++i) {
    Value *nibble = builder.CreateLShr(abs[2], 4 * i);
    Value *byte = poolByte(builder, pool, nibble);
    Value *sign = builder.CreateMul(builder.CreateLShr(byte, 7), builder.getInt32(0xff));
    Value *replicates = builder.CreateICmpNE(builder.CreateAnd(nibble, 8), builder.getInt32(0));
    bytes[i] = builder.CreateSelect(replicates, sign, byte);
  }
  return joinBytes(builder, bytes);
}

Value *emitPermuteMode(IRBuilder<> &builder, ArrayRef<Value *> arguments, PermuteMode mode) {
  Value *selector = builder.CreateAnd(arguments.back(), 3);
  Value *pool = poolOf(builder, arguments[0], arguments.size() > 2 ? arguments[1] : nullptr);
  std::array<Value *, 4> bytes;
  for (uint32_t i = 0; i < 4; ++i) {
    Value *own = builder.getInt32(i), *which = nullptr;
    switch (mode) {
    case PermuteMode::Forward4:
      which = builder.CreateAdd(selector, own);
      break;
    case PermuteMode::Backward4:
      which = builder.CreateSub(selector, own); // modulo 8
      break;
    case PermuteMode::Replicate8:
      which = selector;
      break;
    case PermuteMode::Replicate16:
      which = builder.CreateOr(builder.CreateShl(builder.CreateAnd(selector, 1), 1), builder.getInt32(i & 1));
      break;
    case PermuteMode::EdgeLeft:
      which = builder.CreateBinaryIntrinsic(Intrinsic::umax, selector, own);
      break;
    case PermuteMode::EdgeRight:
      which = builder.CreateBinaryIntrinsic(Intrinsic::umin, selector, own);
      break;
    }
    bytes[i] = poolByte(builder, pool, which);
  }
  return joinBytes(builder, bytes);
}

Value *emitHighProduct(IRBuilder<> &builder, ArrayRef<Value *> ab, bool isSigned) {
  Type *wide = builder.getInt64Ty();
  Value *product =
      builder.CreateMul(builder.CreateIntCast(ab[0], wide, isSigned), builder.CreateIntCast(ab[1], wide, isSigned));
  return builder.CreateTrunc(builder.CreateLShr(product, 32), builder.getInt32Ty());
}

Value *emitFlushedFma(IRBuilder<> &builder, ArrayRef<Value *> abc) {
  Value *flushed[3];
  for (unsigned i = 0; i < 3; ++i)
    flushed[i] = flush(builder, abc[i]);
  return flush(builder, builder.CreateIntrinsic(Intrinsic::fma, {abc[0]->getType()}, flushed));
}

} // namespace qlr
