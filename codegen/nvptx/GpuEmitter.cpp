// Arithmetic, memory and control flow of GpuEmitter.h.
#include "codegen/nvptx/GpuEmitter.h"

#include "codegen/nvptx/Snippets.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace qlr {

Value GpuEmitter::c1(bool v) { return arith::ConstantOp::create(b, b.getBoolAttr(v)); }
Value GpuEmitter::c32(int64_t v) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(static_cast<int32_t>(v))); }
Value GpuEmitter::c64(int64_t v) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(v)); }
Value GpuEmitter::cf32(double v) { return arith::ConstantOp::create(b, b.getF32FloatAttr(static_cast<float>(v))); }
Value GpuEmitter::cf64(double v) { return arith::ConstantOp::create(b, b.getF64FloatAttr(v)); }
Value GpuEmitter::constantLike(Value like, int64_t v) { return like.getType().isInteger(64) ? c64(v) : c32(v); }

Value GpuEmitter::add(Value a, Value c) { return arith::AddIOp::create(b, a, c); }
Value GpuEmitter::add(Value a, int64_t c) { return c == 0 ? a : add(a, constantLike(a, c)); }
Value GpuEmitter::sub(Value a, Value c) { return arith::SubIOp::create(b, a, c); }
Value GpuEmitter::mul(Value a, Value c) { return arith::MulIOp::create(b, a, c); }
Value GpuEmitter::mul(Value a, int64_t c) { return c == 1 ? a : mul(a, constantLike(a, c)); }
Value GpuEmitter::div(Value a, int64_t c) {
  return c == 1 ? a : arith::DivUIOp::create(b, a, constantLike(a, c)).getResult();
}
Value GpuEmitter::rem(Value a, int64_t c) { return arith::RemUIOp::create(b, a, constantLike(a, c)); }
Value GpuEmitter::min(Value a, Value c) { return arith::MinUIOp::create(b, a, c); }
Value GpuEmitter::andi(Value a, int64_t c) { return arith::AndIOp::create(b, a, constantLike(a, c)); }
Value GpuEmitter::ori(Value a, Value c) { return arith::OrIOp::create(b, a, c); }
Value GpuEmitter::xori(Value a, int64_t c) { return arith::XOrIOp::create(b, a, constantLike(a, c)); }
Value GpuEmitter::shl(Value a, int64_t c) {
  return c == 0 ? a : arith::ShLIOp::create(b, a, constantLike(a, c)).getResult();
}
Value GpuEmitter::shr(Value a, int64_t c) {
  return c == 0 ? a : arith::ShRUIOp::create(b, a, constantLike(a, c)).getResult();
}
Value GpuEmitter::sar(Value a, int64_t c) { return arith::ShRSIOp::create(b, a, constantLike(a, c)); }
Value GpuEmitter::eq(Value a, int64_t c) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, a, constantLike(a, c));
}
Value GpuEmitter::ult(Value a, Value c) { return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, a, c); }
Value GpuEmitter::uge(Value a, int64_t c) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::uge, a, constantLike(a, c));
}
Value GpuEmitter::both(Value a, Value c) { return arith::AndIOp::create(b, a, c); }
Value GpuEmitter::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(b, condition, yes, no);
}
Value GpuEmitter::zext64(Value v) {
  return v.getType().isInteger(64) ? v : arith::ExtUIOp::create(b, i64(), v).getResult();
}

Value GpuEmitter::addf(Value a, Value c) { return arith::AddFOp::create(b, a, c); }
Value GpuEmitter::subf(Value a, Value c) { return arith::SubFOp::create(b, a, c); }
Value GpuEmitter::mulf(Value a, Value c) { return arith::MulFOp::create(b, a, c); }
Value GpuEmitter::divf(Value a, Value c) { return arith::DivFOp::create(b, a, c); }
Value GpuEmitter::maxf(Value a, Value c) { return arith::MaxNumFOp::create(b, a, c); }
Value GpuEmitter::maxfNan(Value a, Value c) { return arith::MaximumFOp::create(b, a, c); }
Value GpuEmitter::fma(Value a, Value c, Value addend) { return math::FmaOp::create(b, a, c, addend); }
Value GpuEmitter::sqrtf(Value a) { return intrinsic("llvm.sqrt", a.getType(), a); }
Value GpuEmitter::absf(Value a) { return intrinsic("llvm.fabs", a.getType(), a); }
Value GpuEmitter::roundEven(Value a) { return intrinsic("llvm.rint", a.getType(), a); }
Value GpuEmitter::sitofp(Value i) { return arith::SIToFPOp::create(b, f32(), i); }
Value GpuEmitter::fptosi(Value f) { return arith::FPToSIOp::create(b, i32(), f); }
Value GpuEmitter::bitcast(Value v, Type type) {
  return v.getType() == type ? v : LLVM::BitcastOp::create(b, type, v).getResult();
}

Value GpuEmitter::halfToFloat(Value bits16) { return arith::ExtFOp::create(b, f32(), bitcast(bits16, b.getF16Type())); }
Value GpuEmitter::bf16ToFloat(Value bits16) {
  return bitcast(shl(arith::ExtUIOp::create(b, i32(), bits16), 16), f32());
}
Value GpuEmitter::floatToBf16(Value f) {
  Value bits = bitcast(f, i32());
  Value rounded = add(add(bits, 0x7fff), andi(shr(bits, 16), 1));
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, f, f);
  return arith::TruncIOp::create(b, i16(), shr(select(isNan, c32(0x7fc00000), rounded), 16));
}

Value GpuEmitter::at(Value base, Value index, int64_t scale) {
  Value offset = mul(zext64(index), scale);
  return LLVM::GEPOp::create(b, base.getType(), i8(), base, ArrayRef<LLVM::GEPArg>{offset},
                             LLVM::GEPNoWrapFlags::inbounds);
}
Value GpuEmitter::at(Value base, int64_t byteOffset) {
  if (byteOffset == 0)
    return base;
  return LLVM::GEPOp::create(b, base.getType(), i8(), base, ArrayRef<LLVM::GEPArg>{c64(byteOffset)},
                             LLVM::GEPNoWrapFlags::inbounds);
}
Value GpuEmitter::load(Type type, Value address, unsigned align) {
  return LLVM::LoadOp::create(b, type, address, align);
}
Value GpuEmitter::loadConst(Type type, Value address, unsigned align) {
  return LLVM::LoadOp::create(b, type, address, align, /*isVolatile=*/false, /*isNonTemporal=*/false,
                              /*isInvariant=*/true);
}
void GpuEmitter::store(Value value, Value address, unsigned align) { LLVM::StoreOp::create(b, value, address, align); }

SmallVector<Value> GpuEmitter::loadMany(Type element, Value address, int64_t count) {
  const unsigned bytes = element.getIntOrFloatBitWidth() / 8;
  if (count == 1)
    return {load(element, address, bytes)};
  Value all = load(vec(count, element), address, count * bytes);
  SmallVector<Value> result;
  for (int64_t i = 0; i < count; ++i)
    result.push_back(LLVM::ExtractElementOp::create(b, all, c32(i)));
  return result;
}
void GpuEmitter::storeMany(ArrayRef<Value> values, Value address) {
  Type element = values.front().getType();
  const unsigned bytes = values.size() * element.getIntOrFloatBitWidth() / 8;
  if (values.size() == 1)
    return store(values.front(), address, bytes);
  Value all = LLVM::PoisonOp::create(b, vec(values.size(), element));
  for (auto [i, value] : llvm::enumerate(values))
    all = LLVM::InsertElementOp::create(b, all, value, c32(i));
  store(all, address, bytes);
}

Value GpuEmitter::constantTable(ArrayRef<double> values) {
  auto module = entry->getParentOp()->getParentOfType<gpu::GPUModuleOp>();
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, f64());
  auto attr = DenseElementsAttr::get(type, values);
  // Stages of a kernel that need the same table share it.
  for (auto global : module.getOps<LLVM::GlobalOp>())
    if (global.getValueOrNull() == attr)
      return LLVM::AddressOfOp::create(b, global);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  std::string name = ("qlr_table_" + Twine(llvm::range_size(module.getOps<LLVM::GlobalOp>()))).str();
  auto global = LLVM::GlobalOp::create(b, LLVM::LLVMArrayType::get(f64(), values.size()), /*isConstant=*/true,
                                       LLVM::Linkage::Internal, name, attr, /*alignment=*/8, /*addrSpace=*/1);
  b.setInsertionPointToStart(entry);
  return LLVM::AddressOfOp::create(b, global);
}

SmallVector<Value> GpuEmitter::loadStream(Value address, int64_t words) {
  if (words == 1)
    return {loadConst(i32(), address, 4)};
  SmallVector<Type> types(words, i32());
  Value all = callSnippet(words == 4 ? "ld_stream_v4_u32" : "ld_stream_v2_u32",
                          LLVM::LLVMStructType::getLiteral(b.getContext(), types), address);
  SmallVector<Value> result;
  for (int64_t i = 0; i < words; ++i)
    result.push_back(LLVM::ExtractValueOp::create(b, all, i));
  return result;
}

Value GpuEmitter::shared(int64_t bytes) {
  if (!sharedBase) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry);
    sharedBase = LLVM::AddressOfOp::create(b, sharedPtr(), kSharedSymbol);
  }
  int64_t offset = (sharedTop + 15) / 16 * 16;
  sharedTop = offset + bytes;
  sharedPeak = std::max(sharedPeak, sharedTop);
  return at(sharedBase, offset);
}

Value GpuEmitter::intrinsic(llvm::StringRef name, Type result, ValueRange args) {
  return LLVM::CallIntrinsicOp::create(b, result, b.getStringAttr(name), args).getResult(0);
}
void GpuEmitter::intrinsic(llvm::StringRef name, ValueRange args) {
  LLVM::CallIntrinsicOp::create(b, b.getStringAttr(name), args);
}
Value GpuEmitter::callSnippet(llvm::StringRef name, Type result, ValueRange args) {
  const Snippet &s = snippet(name);
  SmallVector<Type> results;
  if (result)
    results.push_back(result);
  auto call = LLVM::InlineAsmOp::create(b, results, args, s.text, s.constraints, s.hasSideEffects,
                                        /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
                                        LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
                                        /*operand_attrs=*/ArrayAttr());
  return result ? call.getResult(0) : Value();
}
Value GpuEmitter::prmt(Value a, Value c, int64_t selector) {
  return intrinsic("llvm.nvvm.prmt", i32(), {a, c, c32(selector)});
}
Value GpuEmitter::funnelRight(Value high, Value low, int64_t shift) {
  return intrinsic("llvm.fshr", i32(), {high, low, c32(shift)});
}
Value GpuEmitter::funnelRight(Value high, Value low, Value shift) {
  return intrinsic("llvm.fshr", i32(), {high, low, shift});
}
Value GpuEmitter::dp4a(Value a, Value c, Value sum) { return intrinsic("llvm.nvvm.idp4a.s.s", i32(), {a, c, sum}); }

SmallVector<Value> GpuEmitter::loop(Value lower, Value upper, Value step, ValueRange init, LoopBody body) {
  auto loopOp =
      scf::ForOp::create(b, lower, upper, step, init, [&](OpBuilder &inner, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        SmallVector<Value> next = body(i, carried);
        scf::YieldOp::create(b, next);
      });
  return SmallVector<Value>(loopOp.getResults().begin(), loopOp.getResults().end());
}
void GpuEmitter::loop(Value lower, Value upper, Value step, llvm::function_ref<void(Value)> body) {
  loop(lower, upper, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}
void GpuEmitter::forThreads(int64_t count, llvm::function_ref<void(Value)> body) {
  // A known number of rounds, so that it can be unrolled; the last one is predicated.
  const int64_t whole = count / threads, rest = count % threads;
  if (whole)
    loop(whole, [&](Value round) { body(add(mul(round, threads), tid())); });
  if (rest)
    when(ult(tid(), rest), [&] { body(add(tid(), whole * threads)); });
}
void GpuEmitter::when(Value condition, llvm::function_ref<void()> body) {
  scf::IfOp::create(b, condition, [&](OpBuilder &inner, Location) {
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(inner.saveInsertionPoint());
    body();
    scf::YieldOp::create(b);
  });
}
void GpuEmitter::ifElse(Value condition, llvm::function_ref<void()> yes, llvm::function_ref<void()> no) {
  auto region = [&](llvm::function_ref<void()> body) {
    return [this, body](OpBuilder &inner, Location) {
      OpBuilder::InsertionGuard guard(b);
      b.restoreInsertionPoint(inner.saveInsertionPoint());
      body();
      scf::YieldOp::create(b);
    };
  };
  scf::IfOp::create(b, condition, region(yes), region(no));
}
void GpuEmitter::repeatWhile(llvm::function_ref<Value()> condition, llvm::function_ref<void()> body) {
  scf::WhileOp::create(
      b, TypeRange(), ValueRange(),
      [&](OpBuilder &inner, Location, ValueRange) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        scf::ConditionOp::create(b, condition(), ValueRange());
      },
      [&](OpBuilder &inner, Location, ValueRange) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        body();
        scf::YieldOp::create(b);
      });
}

} // namespace qlr
