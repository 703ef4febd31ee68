// Builds host kernel bodies: thin helpers over vector/arith/scf/llvm that keep the emission code close to the formulas.
#ifndef QLR_CODEGEN_HOST_HOSTEMITTER_H
#define QLR_CODEGEN_HOST_HOSTEMITTER_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace qlr {

/// Instruction sets a host kernel is compiled for. The baseline is x86-64-v3; Avx512 needs VNNI and VBMI.
enum class CpuLevel { Avx2, Avx512 };
constexpr CpuLevel kCpuLevels[] = {CpuLevel::Avx2, CpuLevel::Avx512};

llvm::StringRef levelSuffix(CpuLevel level);

/// Lanes of every fp32 vector the kernels use: one row of a strip each. On AVX2 LLVM splits them in two.
constexpr int64_t kLanes = 16;

class HostEmitter {
public:
  HostEmitter(mlir::Location loc, mlir::OpBuilder &builder, CpuLevel level) : b(loc, builder), level(level) {}

  /// The function's entry block, where stack memory, argument loads and tables go. (Loops are attached to the function
  /// only after their bodies are built, so it cannot be found from the insertion point.)
  mlir::Block *entry = nullptr;

  mlir::ImplicitLocOpBuilder b;
  const CpuLevel level;

  // Types.
  mlir::Type i8() { return b.getI8Type(); }
  mlir::Type i16() { return b.getI16Type(); }
  mlir::Type i32() { return b.getI32Type(); }
  mlir::Type i64() { return b.getI64Type(); }
  mlir::Type f32() { return b.getF32Type(); }
  mlir::Type ptr() { return mlir::LLVM::LLVMPointerType::get(b.getContext()); }
  mlir::VectorType vec(int64_t lanes, mlir::Type element) { return mlir::VectorType::get({lanes}, element); }
  mlir::VectorType vecF32() { return vec(kLanes, f32()); }
  mlir::VectorType vecI32() { return vec(kLanes, i32()); }

  // Constants. `splat` gives a vector of equal lanes.
  mlir::Value c64(int64_t v);
  mlir::Value c32(int64_t v);
  mlir::Value cf32(float v);
  mlir::Value splatF32(float v, int64_t lanes = kLanes);
  mlir::Value splatI32(int64_t v, int64_t lanes = kLanes);
  mlir::Value constI8(llvm::ArrayRef<int8_t> lanes);
  mlir::Value constI32(llvm::ArrayRef<int32_t> lanes);

  // Integer arithmetic on i64 indices; constants fold in LLVM.
  mlir::Value add(mlir::Value a, mlir::Value c);
  mlir::Value add(mlir::Value a, int64_t c) { return c == 0 ? a : add(a, c64(c)); }
  mlir::Value mul(mlir::Value a, int64_t c) { return c == 1 ? a : mul(a, c64(c)); }
  mlir::Value mul(mlir::Value a, mlir::Value c);
  mlir::Value div(mlir::Value a, int64_t c);
  mlir::Value rem(mlir::Value a, int64_t c);
  mlir::Value min(mlir::Value a, mlir::Value c);

  // Memory. Offsets are in bytes; alignments in bytes are what the caller can promise.
  mlir::Value at(mlir::Value base, mlir::Value byteOffset);
  mlir::Value at(mlir::Value base, int64_t byteOffset);
  mlir::Value load(mlir::Type type, mlir::Value address, unsigned align = 1);
  void store(mlir::Value value, mlir::Value address, unsigned align = 1);
  /// Asks for the cache line at `address`, which need not be readable.
  void prefetch(mlir::Value address);
  /// Stack memory of `bytes`, 64-byte aligned, allocated once at function entry.
  mlir::Value stack(int64_t bytes);

  // Vectors.
  mlir::Value broadcast(mlir::Value scalar, mlir::VectorType type);
  mlir::Value bitcast(mlir::Value v, mlir::VectorType type);
  mlir::Value shuffle(mlir::Value a, mlir::Value c, llvm::ArrayRef<int64_t> lanes);
  mlir::Value slice(mlir::Value v, int64_t offset, int64_t size);
  mlir::Value concat(mlir::Value low, mlir::Value high);
  mlir::Value extract(mlir::Value v, int64_t lane);
  mlir::Value fma(mlir::Value a, mlir::Value c, mlir::Value addend);
  /// Sum (or maximum) of all lanes by halving: a fixed order, log2 steps.
  mlir::Value sumLanes(mlir::Value v);
  mlir::Value maxLanes(mlir::Value v);
  mlir::Value intrinsic(llvm::StringRef name, mlir::Type result, mlir::ValueRange args);

  /// e^x, |relative error| < 2 ulp on [-87, 88], arguments clamped to it; fp32 vectors.
  mlir::Value exp(mlir::Value x);
  /// sin and cos of 2*pi*turns for fp64 vectors, absolute error < 1e-10; turns of any size.
  std::pair<mlir::Value, mlir::Value> sinCosTurns(mlir::Value turns);

  /// for (i = lower; i < upper; i += step) carrying `init`; `body` returns the next carried values.
  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value i, mlir::ValueRange carried)>;
  llvm::SmallVector<mlir::Value> loop(mlir::Value lower, mlir::Value upper, int64_t step, mlir::ValueRange init,
                                      LoopBody body);
  void loop(mlir::Value lower, mlir::Value upper, int64_t step, llvm::function_ref<void(mlir::Value i)> body);
  void loop(int64_t upper, llvm::function_ref<void(mlir::Value i)> body) { loop(c64(0), c64(upper), 1, body); }
  /// Emits `body` under `condition` (an i1).
  void when(mlir::Value condition, llvm::function_ref<void()> body);

private:
  mlir::Value halve(mlir::Value v, llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
};

} // namespace qlr

#endif // QLR_CODEGEN_HOST_HOSTEMITTER_H
