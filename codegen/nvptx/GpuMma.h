// The tensor core instructions of the kernels.
#ifndef QLR_CODEGEN_NVPTX_GPUMMA_H
#define QLR_CODEGEN_NVPTX_GPUMMA_H

#include "codegen/nvptx/GpuEmitter.h"

namespace qlr {

/// D = A B + C with A 16x32 s8 (4 registers), B 32x8 s8 (2), C 16x8 s32 (4). Fragment layouts: PTX ISA,
/// mma.m16n8k32. C: thread 4g + q holds (g, 2q), (g, 2q+1), (g+8, 2q), (g+8, 2q+1).
llvm::SmallVector<mlir::Value> mmaBytes(GpuEmitter &e, llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b,
                                        llvm::ArrayRef<mlir::Value> c);

/// D = A B + C with A 16x16 f16 (4 registers), B 16x8 f16 (2), C 16x8 f32 (4); registers of f16 come as i32.
llvm::SmallVector<mlir::Value> mmaHalves(GpuEmitter &e, llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b,
                                         llvm::ArrayRef<mlir::Value> c);

/// Four 8x8 matrices of 16-bit elements: lanes 8i ... 8i+7 give the addresses of the rows of matrix i.
llvm::SmallVector<mlir::Value> loadMatrices(GpuEmitter &e, mlir::Value address);

} // namespace qlr

#endif // QLR_CODEGEN_NVPTX_GPUMMA_H
