// Emits one item of one stage of a kernel for a GPU: what a block of threads does together.
#ifndef QLR_CODEGEN_NVPTX_GPUSTAGE_H
#define QLR_CODEGEN_NVPTX_GPUSTAGE_H

#include "codegen/KernelArguments.h"
#include "codegen/nvptx/GpuProduct.h"
#include "codegen/nvptx/KernelSync.h"

namespace qlr {

/// The decoders of one kernel, each with its tables made once.
class DecoderCache {
public:
  /// The decoder of `codec`, decoding as `decode` says (empty: its own choice) to `form`. Its tables are filled at the
  /// insertion point when it is asked for the first time. Null when the codec has no such decoder.
  std::shared_ptr<GpuTileDecoder> get(GpuEmitter &e, CodecAttrInterface codec, llvm::StringRef decode, TileForm form,
                                      mlir::Value levels);

private:
  std::map<std::tuple<const void *, std::string, TileForm>, std::shared_ptr<GpuTileDecoder>> decoders;
};

/// Threads of every block. One number for all kernels keeps occupancy and register budgets comparable.
constexpr int64_t kBlockThreads = 256;

/// How many items blocks claim for `stage`: a token; 8 (token, block of 128 columns) pairs or heads, one a warp; the
/// items of a stage over strips; a (token, kv head, split) of attention.
int64_t gpuItems(StageOp stage);

class GpuStage {
public:
  /// The function's arguments, one global pointer each, are in the order of `arguments`.
  GpuStage(GpuEmitter &e, StageOp stage, const KernelArguments &arguments, KernelSync &sync, DecoderCache &decoders)
      : e(e), stage(stage), arguments(arguments), sync(sync), decoders(decoders) {}

  /// What every block does once before its first item: tables in shared memory, which outlive the items. The caller
  /// puts a barrier behind it.
  mlir::LogicalResult prepare();

  /// Item `item` (i32, the same for all threads). All threads of the block get here, and must leave together; shared
  /// memory may be reused by the next item after a barrier that the caller emits.
  /// Fails with a diagnostic on an op that has no GPU lowering.
  mlir::LogicalResult emitItem(mlir::Value item);

private:
  // One function per domain, each in a file of its own.
  mlir::LogicalResult emitTokens(mlir::Value token); // GpuTokenStage.cpp: the whole block does one token
  mlir::LogicalResult emitBlocks(mlir::Value item);  // GpuBlockStage.cpp: every warp does one (token, block)
  mlir::LogicalResult emitStrips(mlir::Value item);  // GpuStripStage.cpp
  mlir::LogicalResult emitHeads(mlir::Value item);   // GpuHeadStage.cpp, GpuAttention.cpp

  // GpuTokenStage.cpp
  mlir::LogicalResult emitEmbed(EmbedOp op, mlir::Value token);
  mlir::LogicalResult emitStat(RmsStatOp op, mlir::Value token);
  mlir::LogicalResult emitRow(mlir::Value matrix, mlir::Value token);
  // GpuBlockStage.cpp
  mlir::LogicalResult emitRotate(RotateOp op, mlir::Value token, mlir::Value block);
  // GpuHeadStage.cpp, GpuAttention.cpp
  /// Elements `element` and `element` + headDim / 2 of a head: what a rotary embedding turns together. One that the
  /// stage has is applied on the way.
  mlir::FailureOr<std::pair<mlir::Value, mlir::Value>> headPair(mlir::Value matrix, mlir::Value token, mlir::Value head,
                                                                int64_t headDim, mlir::Value element);
  void forPairs(int64_t headDim, llvm::function_ref<void(mlir::Value element)> body);
  mlir::LogicalResult emitRope(RopeOp op, mlir::Value token, mlir::Value head);
  mlir::LogicalResult emitAppend(CacheAppendOp op, mlir::Value token, mlir::Value head);
  mlir::LogicalResult emitAttention(AttentionOp op, mlir::Value item);

  /// Element (token, column) of a matrix: loaded when the value is in memory, computed when it is an elementwise op of
  /// this stage. i32 token and column, f32 result.
  mlir::FailureOr<mlir::Value> pull(mlir::Value matrix, mlir::Value token, mlir::Value column);
  mlir::FailureOr<mlir::Value> pullElementwise(mlir::Operation *op, mlir::Value token, mlir::Value column);

  /// Address of a value's buffer: the function's argument.
  mlir::Value pointer(mlir::Value value, int64_t component = 0);
  /// Address of element (token, column) of a matrix in memory.
  mlir::Value elementAddress(mlir::Value matrix, mlir::Value token, mlir::Value column);
  /// Element `index` of an f32 vector: a weight or a statistic.
  mlir::Value loadVector(mlir::Value vector, mlir::Value index);
  /// i32 position of the first token of the chunk.
  mlir::Value position(mlir::Value positionTensor);
  bool isInStage(mlir::Operation *op) { return op && op->getParentOp() == stage.getOperation(); }

  /// Index of the first component called `name` ("q.codes", "r.codes", "l.codes").
  static int64_t componentIndex(WeightType type, llvm::StringRef name);
  /// The tiled matrix of a weight whose codes are component `codes`, for operands of `form`.
  mlir::FailureOr<GpuMatrix> matrix(mlir::Value weight, llvm::StringRef codes, TileForm form, llvm::StringRef decode);
  /// Waits until the stage that makes `value`, if one of this kernel does, is done; once per stage and item.
  void waitFor(mlir::Value value);
  // GpuStripStage.cpp
  struct Strips;
  mlir::FailureOr<Strips> analyzeStrips();
  mlir::FailureOr<int64_t> resultBytes(const Strips &strips);
  mlir::FailureOr<GpuMatrix> rootMatrix(const Strips &strips);
  mlir::LogicalResult emitRoot(const Strips &strips, mlir::Value firstStrip, mlir::Value split, mlir::Value out);
  /// `out`: the sums, which end at `resultEnd` of the block's shared memory.
  mlir::LogicalResult emitEpilogue(const Strips &strips, mlir::Value firstStrip, mlir::Value out, int64_t resultEnd);

  GpuEmitter &e;
  StageOp stage;
  const KernelArguments &arguments;
  KernelSync &sync;
  /// Elements of the current token and column: what the stage's root has computed.
  llvm::DenseMap<mlir::Value, mlir::Value> current;
  DecoderCache &decoders;
  llvm::SmallDenseSet<mlir::Operation *> waited; // stages, in the current item
};

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_GPUSTAGE_H
