// Instructions of one GPU lane that the host has in another form, written out in LLVM IR. Constants fold on the way.
#ifndef QLR_CODEGEN_EMULATOR_SCALAROPERATIONS_H
#define QLR_CODEGEN_EMULATOR_SCALAROPERATIONS_H

#include "codegen/emulator/KernelRewriter.h"

namespace qlr {

/// dp4a: c + the sum of four products of bytes of a and b, each signed or not.
llvm::Value *emitDot4(llvm::IRBuilder<> &builder, llvm::ArrayRef<llvm::Value *> abc, bool signedA, bool signedB);

/// prmt: byte i of the result is chosen by nibble i of the selector among the bytes of b:a; bit 3 of the nibble
/// replicates the byte's sign instead.
llvm::Value *emitPermute(llvm::IRBuilder<> &builder, llvm::ArrayRef<llvm::Value *> abs);

/// The modes of prmt other than the default; those of one operand have the arguments (a, selector).
enum class PermuteMode { Forward4, Backward4, Replicate8, Replicate16, EdgeLeft, EdgeRight };
llvm::Value *emitPermuteMode(llvm::IRBuilder<> &builder, llvm::ArrayRef<llvm::Value *> arguments, PermuteMode mode);

/// The high half of a product of two i32.
llvm::Value *emitHighProduct(llvm::IRBuilder<> &builder, llvm::ArrayRef<llvm::Value *> ab, bool isSigned);

/// fma whose denormal operands and results are zero.
llvm::Value *emitFlushedFma(llvm::IRBuilder<> &builder, llvm::ArrayRef<llvm::Value *> abc);

} // namespace qlr

#endif // QLR_CODEGEN_EMULATOR_SCALAROPERATIONS_H
