// Work that several items share: how many counters and how much memory their partial results take.
#ifndef QLR_PASSES_SPLITPLAN_H
#define QLR_PASSES_SPLITPLAN_H

#include "dialect/Qlr.h"

namespace qlr {

/// What a stage needs whose items each do a part of a result ("splits" of its variant); nothing when splits is 1.
struct SplitPlan {
  int64_t splits = 1;
  int64_t arrivals = 0;     ///< counters: one for each result that is put together
  int64_t partialBytes = 0; ///< of all partial results
};

/// Of a product, partial results are f32 [strip groups][splits][tokens][16 * strips]; of attention, for each token,
/// head and split a maximum, a sum and head_dim sums, all f32.
SplitPlan splitPlan(StageOp stage);

/// Bytes of attention's partial results.
int64_t attentionPartialBytes(int64_t tokens, int64_t heads, int64_t headDim, int64_t splits);

/// The ops of a stage, by what it is for: the attention in it, or null.
AttentionOp attentionOf(StageOp stage);

} // namespace qlr

#endif // QLR_PASSES_SPLITPLAN_H
