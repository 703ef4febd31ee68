// Measured variants, which qlr-select-variants prefers to its cost models.
#ifndef QLR_PASSES_TUNINGDATABASE_H
#define QLR_PASSES_TUNINGDATABASE_H

#include "passes/CostModel.h"

#include <map>
#include <optional>
#include <tuple>

namespace qlr {

/// A JSON file, {"variants": [entry...]}; a later entry for the same product wins. Every entry says codec,
/// strips_total, columns and tokens_total, the product it was measured on. Then, for the host:
///   strips, accumulators, tokens
/// and with "machine": "gpu", what it leaves out being the cost model's:
///   multiply, decode, splits
class TuningDatabase {
public:
  /// Reads `path`. Failure after `emitError` has said what is wrong with which entry.
  mlir::LogicalResult load(llvm::StringRef path, llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

  std::optional<Variant> find(const Product &product) const;
  std::optional<GpuWishes> findForGpu(const Product &product) const;

private:
  using Key = std::tuple<std::string, int64_t, int64_t, int64_t>;
  static Key keyOf(const Product &product);

  std::map<Key, Variant> host;
  std::map<Key, GpuWishes> gpu;
};

} // namespace qlr

#endif // QLR_PASSES_TUNINGDATABASE_H
