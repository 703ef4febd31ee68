// Emits one stage of a kernel as a host function: where its values live, and how elementwise ops are pulled into it.
#ifndef QLR_CODEGEN_HOST_STAGEEMITTER_H
#define QLR_CODEGEN_HOST_STAGEEMITTER_H

#include "codegen/KernelArguments.h"
#include "codegen/host/TileMatmul.h"
#include "dialect/Qlr.h"

#include "llvm/ADT/DenseMap.h"

namespace qlr {

/// One stage of one kernel on one CPU level. `emit` fills the function body between its entry and return:
/// items [begin, end) of the stage.
class StageEmitter {
public:
  StageEmitter(HostEmitter &e, StageOp stage, const KernelArguments &arguments, mlir::Value argumentArray)
      : e(e), stage(stage), arguments(arguments), argumentArray(argumentArray) {}

  /// Fails with a diagnostic on an op that has no host lowering.
  mlir::LogicalResult emit(mlir::Value begin, mlir::Value end);

private:
  // One function per domain, each in a file of its own.
  mlir::LogicalResult emitTokens(mlir::Value token); // TokenStage.cpp
  mlir::LogicalResult emitBlocks(mlir::Value item);  // BlockStage.cpp
  mlir::LogicalResult emitStrips(mlir::Value item);  // StripStage.cpp
  mlir::LogicalResult emitHeads(mlir::Value item);   // HeadStage.cpp

  // TokenStage.cpp
  mlir::LogicalResult emitEmbed(EmbedOp op, mlir::Value token);
  mlir::LogicalResult emitStat(RmsStatOp op, mlir::Value token);
  mlir::LogicalResult emitRow(mlir::Value matrix, mlir::Value token);
  // BlockStage.cpp
  mlir::LogicalResult emitRotate(RotateOp op, mlir::Value token, mlir::Value block, int64_t columns);
  // StripStage.cpp, FloatMatmul.cpp
  void emitFloatProducts(MatmulOp op, mlir::Value strip, mlir::Value out);
  mlir::Value expandSlice(ExpandOp op, mlir::Value strip);
  // HeadStage.cpp, Attention.cpp
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> headVectors(mlir::Value matrix, mlir::Value token, mlir::Value head,
                                                              int64_t headDim, int64_t width);
  mlir::Value toBf16(mlir::Value v);
  mlir::LogicalResult emitAppend(CacheAppendOp op, mlir::Value token, mlir::Value head);
  mlir::LogicalResult emitAttention(AttentionOp op, mlir::Value token, mlir::Value head);

  /// `width` consecutive columns of a matrix from `column` on, for one token: loaded when the value is in memory,
  /// computed when it is an elementwise op of this stage.
  mlir::FailureOr<mlir::Value> pull(mlir::Value matrix, mlir::Value token, mlir::Value column, int64_t width);
  mlir::FailureOr<mlir::Value> pullElementwise(mlir::Operation *op, mlir::Value token, mlir::Value column,
                                               int64_t width);

  /// Address of a value's buffer. Loads of the argument array are emitted at the function's entry.
  mlir::Value pointer(mlir::Value value, int64_t component = 0);
  /// Address of element (token, column) of a matrix in memory.
  mlir::Value elementAddress(mlir::Value matrix, mlir::Value token, mlir::Value column);
  /// i64 position of the first token of the chunk.
  mlir::Value position(mlir::Value positionTensor);
  mlir::Value signedToIndex(mlir::Value i32);

  /// The tiled matrix behind component `first` (codes) of a weight: q, r or l.
  TileMatrix tileMatrix(mlir::Value weight, int64_t rows, int64_t columns, CodecAttrInterface codec,
                        int64_t firstComponent);
  /// Index of the first component called `name` ("q.codes", "r.codes", "l.codes").
  static int64_t componentIndex(WeightType type, llvm::StringRef name);

  HostEmitter &e;
  StageOp stage;
  const KernelArguments &arguments;
  mlir::Value argumentArray;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, mlir::Value> pointers;
  /// Vectors of the current token and columns: what the stage's root has computed.
  llvm::DenseMap<mlir::Value, mlir::Value> current;
  /// Decoders and their hoisted tables, one per (weight, component) of this function.
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, std::shared_ptr<TileDecoder>> decoders;
};

} // namespace qlr

#endif // QLR_CODEGEN_HOST_STAGEEMITTER_H
