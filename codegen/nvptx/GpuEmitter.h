// Builds GPU kernel bodies, one thread's view: thin helpers over arith/scf/math/nvvm/llvm that keep the emission code
// close to the formulas. Indices and sizes are i32 (unsigned), byte offsets are widened when an address is made.
#ifndef QLR_CODEGEN_NVPTX_GPUEMITTER_H
#define QLR_CODEGEN_NVPTX_GPUEMITTER_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace qlr {

constexpr int64_t kWarp = 32;

/// The most shared memory that a block can ask for, by compute capability times ten (CUDA C++ Programming Guide,
/// "Technical Specifications per Compute Capability"). What is not known gets the least.
constexpr int64_t maxSharedBytes(unsigned sm) {
  return sm == 80 || sm == 87 ? 163 * 1024 : sm >= 90 && sm < 120 ? 227 * 1024 : 99 * 1024;
}
/// What every chip has: kernels keep to it where they have the choice, so that those for sm_80 run on sm_86.
constexpr int64_t kCommonSharedBytes = 99 * 1024;

/// The dynamic shared memory of a block: an external array without a size of its own, into which every kernel cuts its
/// buffers. (gpu.dynamic_shared_memory would become one static byte in LLVM 22, overlapping static arrays.)
constexpr const char *kSharedSymbol = "qlr_shared";

class GpuEmitter {
public:
  /// `threads` of a block, a multiple of 32.
  GpuEmitter(mlir::Location loc, mlir::OpBuilder &builder, unsigned sm, int64_t threads)
      : b(loc, builder), sm(sm), threads(threads) {}

  /// The function's entry block, where argument-independent values are hoisted to.
  mlir::Block *entry = nullptr;

  mlir::ImplicitLocOpBuilder b;
  const unsigned sm; ///< compute capability times ten
  const int64_t threads;

  // Types.
  mlir::Type i1() { return b.getI1Type(); }
  mlir::Type i8() { return b.getI8Type(); }
  mlir::Type i16() { return b.getI16Type(); }
  mlir::Type i32() { return b.getI32Type(); }
  mlir::Type i64() { return b.getI64Type(); }
  mlir::Type f32() { return b.getF32Type(); }
  mlir::Type f64() { return b.getF64Type(); }
  mlir::Type globalPtr() { return mlir::LLVM::LLVMPointerType::get(b.getContext(), 1); }
  mlir::Type sharedPtr() { return mlir::LLVM::LLVMPointerType::get(b.getContext(), 3); }
  mlir::VectorType vec(int64_t lanes, mlir::Type element) { return mlir::VectorType::get({lanes}, element); }

  // Constants.
  mlir::Value c1(bool v);
  mlir::Value c32(int64_t v);
  mlir::Value c64(int64_t v);
  mlir::Value cf32(double v);
  mlir::Value cf64(double v);

  // Integer arithmetic (i32 unless the operands are i64); division is unsigned.
  mlir::Value add(mlir::Value a, mlir::Value c);
  mlir::Value add(mlir::Value a, int64_t c);
  mlir::Value sub(mlir::Value a, mlir::Value c);
  mlir::Value mul(mlir::Value a, mlir::Value c);
  mlir::Value mul(mlir::Value a, int64_t c);
  mlir::Value div(mlir::Value a, int64_t c);
  mlir::Value rem(mlir::Value a, int64_t c);
  mlir::Value min(mlir::Value a, mlir::Value c);
  mlir::Value min(mlir::Value a, int64_t c) { return min(a, constantLike(a, c)); }
  mlir::Value andi(mlir::Value a, int64_t c);
  mlir::Value ori(mlir::Value a, mlir::Value c);
  mlir::Value xori(mlir::Value a, int64_t c);
  mlir::Value shl(mlir::Value a, int64_t c);
  mlir::Value shr(mlir::Value a, int64_t c); ///< logical
  mlir::Value sar(mlir::Value a, int64_t c); ///< arithmetic
  mlir::Value eq(mlir::Value a, int64_t c);
  mlir::Value ult(mlir::Value a, mlir::Value c);
  mlir::Value ult(mlir::Value a, int64_t c) { return ult(a, constantLike(a, c)); }
  mlir::Value uge(mlir::Value a, int64_t c);
  mlir::Value both(mlir::Value a, mlir::Value c); ///< of two i1
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);
  mlir::Value zext64(mlir::Value i32);

  // fp32. No contraction happens unless fma is asked for.
  mlir::Value addf(mlir::Value a, mlir::Value c);
  mlir::Value subf(mlir::Value a, mlir::Value c);
  mlir::Value mulf(mlir::Value a, mlir::Value c);
  mlir::Value divf(mlir::Value a, mlir::Value c);    ///< correctly rounded
  mlir::Value maxf(mlir::Value a, mlir::Value c);    ///< the other operand where one is NaN
  mlir::Value maxfNan(mlir::Value a, mlir::Value c); ///< NaN where one is NaN
  mlir::Value fma(mlir::Value a, mlir::Value c, mlir::Value addend);
  mlir::Value sqrtf(mlir::Value a); ///< correctly rounded
  mlir::Value absf(mlir::Value a);
  mlir::Value roundEven(mlir::Value a);
  mlir::Value sitofp(mlir::Value i); ///< to f32
  mlir::Value fptosi(mlir::Value f); ///< to i32
  /// e^x, |relative error| < 2 ulp on [-87, 88], arguments clamped to it; the host's formula.
  mlir::Value exp(mlir::Value x);
  /// sin and cos of 2*pi*turns as f32, from an f64 number of turns of any size; absolute error < 1e-7.
  std::pair<mlir::Value, mlir::Value> sinCosTurns(mlir::Value turns);
  mlir::Value halfToFloat(mlir::Value bits16); ///< i16 bits of an f16
  mlir::Value bf16ToFloat(mlir::Value bits16);
  mlir::Value floatToBf16(mlir::Value f); ///< nearest even, as i16; a NaN stays one

  mlir::Value bitcast(mlir::Value v, mlir::Type type);

  // Memory. `at`: base + index * scale bytes, for pointers of any address space; the index is i32 (zero-extended) or
  // i64. Alignments in bytes are what the caller can promise.
  mlir::Value at(mlir::Value base, mlir::Value index, int64_t scale = 1);
  mlir::Value at(mlir::Value base, int64_t byteOffset);
  mlir::Value load(mlir::Type type, mlir::Value address, unsigned align);
  mlir::Value loadF32(mlir::Value address) { return load(f32(), address, 4); }
  mlir::Value loadI32(mlir::Value address) { return load(i32(), address, 4); }
  /// `count` (1, 2 or 4) neighbours by one load, aligned to its size.
  llvm::SmallVector<mlir::Value> loadMany(mlir::Type element, mlir::Value address, int64_t count);
  /// The mirror image: 1, 2 or 4 equal types by one store, aligned to its size.
  void storeMany(llvm::ArrayRef<mlir::Value> values, mlir::Value address);
  /// A load of the weights arena, which nobody writes: it may use the read-only path.
  mlir::Value loadConst(mlir::Type type, mlir::Value address, unsigned align);
  void store(mlir::Value value, mlir::Value address, unsigned align);
  /// `words` (1, 2 or 4) i32 of the weights arena, aligned to their size, by streaming loads that skip the first-level
  /// cache.
  llvm::SmallVector<mlir::Value> loadStream(mlir::Value address, int64_t words);

  /// Address of an array of constants in global memory (constant memory would serve one address at a time).
  mlir::Value constantTable(llvm::ArrayRef<double> values);

  /// Shared memory of `bytes`, 16-byte aligned, of this kernel alone. `sharedMark`/`sharedRelease` let stages reuse
  /// what they do not use at the same time.
  mlir::Value shared(int64_t bytes);
  int64_t sharedMark() const { return sharedTop; }
  void sharedRelease(int64_t mark) { sharedTop = mark; }
  int64_t sharedBytes() const { return sharedPeak; }

  // The thread's place. Values are made once, in the entry block.
  mlir::Value tid();    ///< in the block
  mlir::Value lane();   ///< in the warp
  mlir::Value warp();   ///< in the block
  mlir::Value block();  ///< in the grid
  mlir::Value blocks(); ///< in the grid
  int64_t warps() const { return threads / kWarp; }

  // Threads together. Every thread of the block (warp) must get there.
  void barrier();
  void warpBarrier();
  mlir::Value shuffleXor(mlir::Value v, int64_t mask); ///< of f32 or i32
  mlir::Value shuffleIdx(mlir::Value v, mlir::Value lane);
  mlir::Value warpSum(mlir::Value v, int64_t lanes = kWarp);    ///< of f32, by butterflies; every lane gets it
  mlir::Value warpMax(mlir::Value v, int64_t lanes = kWarp);    ///< of f32, NaN is ignored
  mlir::Value warpMaxNan(mlir::Value v, int64_t lanes = kWarp); ///< of f32, NaN wins

  mlir::Value intrinsic(llvm::StringRef name, mlir::Type result, mlir::ValueRange args);
  void intrinsic(llvm::StringRef name, mlir::ValueRange args);
  /// The snippet called `name` (Snippets.h); `result` is null, a type, or a struct of i32.
  mlir::Value callSnippet(llvm::StringRef name, mlir::Type result, mlir::ValueRange args);
  /// Bytes of {c, a} picked by the selector's nibbles (PTX prmt.b32 default mode).
  mlir::Value prmt(mlir::Value a, mlir::Value c, int64_t selector);
  mlir::Value funnelRight(mlir::Value high, mlir::Value low, int64_t shift);
  /// Bits shift ... shift + 31 of {high, low}; only the lowest five bits of `shift` count.
  mlir::Value funnelRight(mlir::Value high, mlir::Value low, mlir::Value shift);
  /// sum + dot product of four signed bytes each.
  mlir::Value dp4a(mlir::Value a, mlir::Value c, mlir::Value sum);

  /// for (i = lower; i < upper; i += step) carrying `init`; i32 bounds.
  using LoopBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value i, mlir::ValueRange carried)>;
  llvm::SmallVector<mlir::Value> loop(mlir::Value lower, mlir::Value upper, mlir::Value step, mlir::ValueRange init,
                                      LoopBody body);
  void loop(mlir::Value lower, mlir::Value upper, mlir::Value step, llvm::function_ref<void(mlir::Value i)> body);
  void loop(int64_t upper, llvm::function_ref<void(mlir::Value i)> body) { loop(c32(0), c32(upper), c32(1), body); }
  /// Every thread of the block does its share of 0 .. count-1 (the thread's number, then steps of the block's size).
  void forThreads(int64_t count, llvm::function_ref<void(mlir::Value i)> body);
  /// Emits `body` under `condition` (an i1).
  void when(mlir::Value condition, llvm::function_ref<void()> body);
  void ifElse(mlir::Value condition, llvm::function_ref<void()> yes, llvm::function_ref<void()> no);
  /// while (condition()) body(); `condition` emits code and returns an i1.
  void repeatWhile(llvm::function_ref<mlir::Value()> condition, llvm::function_ref<void()> body);

private:
  mlir::Value constantLike(mlir::Value like, int64_t v);
  mlir::Value hoisted(mlir::Value &cache, llvm::function_ref<mlir::Value()> make);

  int64_t sharedTop = 0, sharedPeak = 0;
  mlir::Value tidValue, laneValue, warpValue, blockValue, blocksValue, sharedBase;
};

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_GPUEMITTER_H
