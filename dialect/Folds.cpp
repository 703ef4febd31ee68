// Folders: views of views, and views of everything.
#include "dialect/Qlr.h"

using namespace mlir;

namespace qlr {

OpFoldResult LastTokenOp::fold(FoldAdaptor) {
  return getX().getType() == getType() ? OpFoldResult(getX()) : OpFoldResult();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getX().getType() == getType())
    return getX();
  auto inner = getX().getDefiningOp<SliceOp>();
  if (!inner)
    return {};
  setOffset(getOffset() + inner.getOffset());
  getXMutable().assign(inner.getX());
  return getResult();
}

} // namespace qlr
