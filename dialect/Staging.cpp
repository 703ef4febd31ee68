// How each op is cut into items: the only place that knows an op's domain.
#include "dialect/Layout.h"

using namespace mlir;

namespace qlr {

static int64_t tokensOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(0); }
static int64_t columnsOf(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(1); }
static int64_t blocksOf(Value value) { return tokensOf(value) * ((columnsOf(value) + 127) / 128); }

// One item a token.
Domain EmbedOp::getDomain() { return Domain::tokens; }
int64_t EmbedOp::getUnits() { return tokensOf(getResult()); }
Domain LastTokenOp::getDomain() { return Domain::tokens; }
int64_t LastTokenOp::getUnits() { return 1; }
Domain RmsNormOp::getDomain() { return Domain::tokens; }
int64_t RmsNormOp::getUnits() { return tokensOf(getX()); }
Domain RmsStatOp::getDomain() { return Domain::tokens; }
int64_t RmsStatOp::getUnits() { return tokensOf(getX()); }

// One item a token's 128 columns.
Domain RotateOp::getDomain() { return Domain::blocks; }
int64_t RotateOp::getUnits() { return blocksOf(getX()); }
Domain NormApplyOp::getDomain() { return Domain::blocks; }
int64_t NormApplyOp::getUnits() { return blocksOf(getResult()); }
Domain ScaleColumnsOp::getDomain() { return Domain::blocks; }
int64_t ScaleColumnsOp::getUnits() { return blocksOf(getResult()); }
Domain ScaleTokensOp::getDomain() { return Domain::blocks; }
int64_t ScaleTokensOp::getUnits() { return blocksOf(getResult()); }
Domain BiasAddOp::getDomain() { return Domain::blocks; }
int64_t BiasAddOp::getUnits() { return blocksOf(getResult()); }
Domain AddOp::getDomain() { return Domain::blocks; }
int64_t AddOp::getUnits() { return blocksOf(getResult()); }
Domain SwigluOp::getDomain() { return Domain::blocks; }
int64_t SwigluOp::getUnits() { return blocksOf(getResult()); }
Domain SliceOp::getDomain() { return Domain::blocks; }
int64_t SliceOp::getUnits() { return blocksOf(getResult()); }

// One item a strip of 16 rows of the weight.
Domain LinearOp::getDomain() { return Domain::strips; }
int64_t LinearOp::getUnits() { return getWeight().getType().numStrips(); }
Domain MatmulOp::getDomain() { return Domain::strips; }
int64_t MatmulOp::getUnits() { return getWeight().getType().numStrips(); }
Domain ProjectOp::getDomain() { return Domain::strips; }
int64_t ProjectOp::getUnits() { return getWeight().getType().projectedColumns() / 16; }
Domain ExpandOp::getDomain() { return Domain::strips; }
int64_t ExpandOp::getUnits() { return getWeight().getType().numStrips(); }

// One item a token's head.
Domain RopeOp::getDomain() { return Domain::heads; }
int64_t RopeOp::getUnits() { return tokensOf(getX()) * getHeads(); }
Domain CacheAppendOp::getDomain() { return Domain::heads; }
int64_t CacheAppendOp::getUnits() { return tokensOf(getK()) * getCache().getType().getKvHeads(); }
Domain AttentionOp::getDomain() { return Domain::heads; }
int64_t AttentionOp::getUnits() { return tokensOf(getQ()) * getHeads(); }

} // namespace qlr
