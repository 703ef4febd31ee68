// How the warps of a block bring their partial sums of one item together.
#ifndef QLR_CODEGEN_NVPTX_GPUEXCHANGE_H
#define QLR_CODEGEN_NVPTX_GPUEXCHANGE_H

#include "codegen/nvptx/GpuEmitter.h"

namespace qlr {

/// Shared memory [warps][tokens][rows] of f32: every warp writes its sums, then all are added in the order of warps.
/// Where tables leave no room for that, the first warp's sums are in the result's own place.
class WarpExchange {
public:
  /// `out`: shared f32 [tokens][rows], the last memory taken, where the result goes.
  WarpExchange(GpuEmitter &e, int64_t tokens, int64_t rows, mlir::Value out)
      : e(e), tokens(tokens), rows(rows), out(out) {
    const int64_t bytes = tokens * rows * 4;
    if (e.sharedMark() + e.warps() * bytes <= kCommonSharedBytes) {
      memory = e.shared(e.warps() * bytes);
    } else {
      memory = out;
      e.shared((e.warps() - 1) * bytes); // directly behind it
    }
  }

  /// Address of this warp's sum for (token, row); i32 values.
  mlir::Value place(mlir::Value token, mlir::Value row) {
    mlir::Value index = e.add(e.mul(e.add(e.mul(e.warp(), tokens), token), rows), row);
    return e.at(memory, index, 4);
  }

  /// Adds all warps' sums into the result and lets the block see it.
  void reduce() {
    e.barrier();
    e.forThreads(tokens * rows, [&](mlir::Value i) {
      mlir::Value sum;
      for (int64_t w = 0; w < e.warps(); ++w) {
        mlir::Value one = e.loadF32(e.at(e.at(memory, i, 4), w * tokens * rows * 4));
        sum = sum ? e.addf(sum, one) : one;
      }
      e.store(sum, e.at(out, i, 4), 4);
    });
    e.barrier();
  }

private:
  GpuEmitter &e;
  const int64_t tokens, rows;
  mlir::Value out, memory;
};

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_GPUEXCHANGE_H
