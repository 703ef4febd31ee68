// mma.sync and ldmatrix through their NVVM intrinsics.
#include "codegen/nvptx/GpuMma.h"

using namespace mlir;

namespace qlr {
namespace {

SmallVector<Value> call(GpuEmitter &e, StringRef name, Type element, ValueRange args) {
  SmallVector<Type> types(4, element);
  Value all = e.intrinsic(name, LLVM::LLVMStructType::getLiteral(e.b.getContext(), types), args);
  SmallVector<Value> result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(LLVM::ExtractValueOp::create(e.b, all, i));
  return result;
}

} // namespace

SmallVector<Value> mmaBytes(GpuEmitter &e, ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> c) {
  SmallVector<Value> args(a);
  llvm::append_range(args, b);
  llvm::append_range(args, c);
  return call(e, "llvm.nvvm.mma.m16n8k32.row.col.s8", e.i32(), args);
}

SmallVector<Value> mmaHalves(GpuEmitter &e, ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> c) {
  auto pair = e.vec(2, e.b.getF16Type());
  SmallVector<Value> args;
  for (Value v : llvm::concat<const Value>(a, b))
    args.push_back(e.bitcast(v, pair));
  llvm::append_range(args, c);
  return call(e, "llvm.nvvm.mma.m16n8k16.row.col.f32.f32", e.f32(), args);
}

SmallVector<Value> loadMatrices(GpuEmitter &e, Value address) {
  return call(e, "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3", e.i32(), address);
}

} // namespace qlr
