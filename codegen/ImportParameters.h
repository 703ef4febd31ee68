// Declares a checkpoint's tensors as weights and vectors, checking their headers.
#ifndef QLR_CODEGEN_IMPORTPARAMETERS_H
#define QLR_CODEGEN_IMPORTPARAMETERS_H

#include "dialect/Qlr.h"
#include "runtime/format/Checkpoint.h"
#include "runtime/format/QuantConfig.h"

#include "mlir/IR/Builders.h"

namespace qlr {

/// Declarations of one module, made on first use.
class ParameterImporter {
public:
  ParameterImporter(mlir::ModuleOp module, const Checkpoint &checkpoint, const QuantConfig *quant)
      : module(module), checkpoint(checkpoint), quant(quant) {}

  /// The matrix of a linear layer or of the embedding.
  WeightDeclOp weight(const LinearModule &linear);
  /// A norm's weight or a bias of `size` elements.
  VectorDeclOp vector(const std::string &tensor, int64_t size, llvm::StringRef kind);
  /// The signs of a rotated input.
  VectorDeclOp signs(const std::string &input, int64_t size);

private:
  WeightType plainType(const LinearModule &linear);
  WeightType compressedType(const LinearModule &linear, const ModuleQuant &how);
  CodecAttrInterface codec(const std::string &name);
  void requireTiles(const std::string &prefix, const std::string &codec, int64_t rows, int64_t columns);
  void requireLevels(const std::string &codec);
  /// Refuses shapes other than `shape` and element types that are not floats.
  DType requireFloats(const std::string &tensor, const std::vector<uint64_t> &shape);
  template <typename Decl> Decl find(llvm::StringRef name);
  /// Where the next declaration goes: behind the others, before the functions.
  mlir::OpBuilder declBuilder();

  mlir::ModuleOp module;
  const Checkpoint &checkpoint;
  const QuantConfig *quant;
  llvm::StringMap<mlir::Operation *> decls;
  mlir::Operation *last = nullptr;
};

} // namespace qlr

#endif // QLR_CODEGEN_IMPORTPARAMETERS_H
