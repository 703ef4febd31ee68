// Sizes and offsets of values in memory.
#include "dialect/Layout.h"

using namespace mlir;

namespace qlr {

/// Adds the components of a tiled matrix of `strips` strips.
static void addTiled(SmallVectorImpl<WeightComponent> &out, StringRef codes, StringRef scales, CodecAttrInterface codec,
                     int64_t strips, int64_t columns) {
  int64_t groups = codec.getGroup() ? (columns + codec.getGroup() - 1) / codec.getGroup() : 1;
  out.push_back({codes, strips * ((columns + 3) / 4) * codec.getTileBytes(), codec});
  out.push_back({scales, strips * 16 * groups * 2, codec}); // f16
  if (codec.getLevelCount())
    out.push_back({"levels", kLevelTableBytes, codec});
}

SmallVector<WeightComponent> weightComponents(WeightType type) {
  SmallVector<WeightComponent> components;
  if (type.getQ().isPlainRows()) {
    components.push_back({"weight", type.getRows() * type.getColumns() * type.getQ().getBits() / 8, type.getQ()});
    return components;
  }
  addTiled(components, "q.codes", "q.scales", type.getQ(), type.numStrips(), type.getColumns());
  if (type.getRank()) {
    addTiled(components, "r.codes", "r.scales", type.getFactors(), type.projectedColumns() / 16, type.getColumns());
    addTiled(components, "l.codes", "l.scales", type.getFactors(), type.numStrips(), type.getRank());
  }
  return components;
}

int64_t weightBytes(WeightType type) {
  int64_t bytes = 0;
  for (const WeightComponent &component : weightComponents(type))
    bytes += component.isLevels() ? 0 : component.bytes;
  return bytes;
}

ActLayout actLayout(ActType type) {
  ActLayout layout{};
  layout.paddedColumns = (type.getColumns() + 127) / 128 * 128;
  layout.blocks = layout.paddedColumns / 128;
  layout.sums = layout.paddedColumns / type.getSums();
  int64_t tokens = type.getTokens(), end = 0;
  auto place = [&](int64_t bytes) {
    int64_t offset = end;
    end += alignTo64(bytes);
    return offset;
  };
  layout.hi = place(tokens * layout.paddedColumns);
  layout.lo = place(tokens * layout.paddedColumns);
  layout.scale = place(tokens * layout.blocks * 4);
  layout.sumHi = place(tokens * layout.sums * 4);
  layout.sumLo = place(tokens * layout.sums * 4);
  layout.bytes = end;
  return layout;
}

int64_t bufferBytes(Type type) {
  if (auto act = dyn_cast<ActType>(type))
    return actLayout(act).bytes;
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return 0;
  int64_t elements = 1;
  for (int64_t size : tensor.getShape())
    elements *= size;
  if (tensor.getRank() == 2)
    elements = tensor.getDimSize(0) * rowStride(tensor.getDimSize(1));
  return alignTo64(elements * 4); // f32 and i32 only
}

int64_t cacheBytesPerPosition(CacheType type) {
  return type.getLayers() * 2 * type.getKvHeads() * type.getHeadDim() *
         (type.getElementType().getIntOrFloatBitWidth() / 8);
}

} // namespace qlr
