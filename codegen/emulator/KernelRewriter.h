// One kernel on its way from device IR to host IR: what the steps of the rewrite share.
#ifndef QLR_CODEGEN_EMULATOR_KERNELREWRITER_H
#define QLR_CODEGEN_EMULATOR_KERNELREWRITER_H

#include "runtime/format/EmulatorAbi.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <string>
#include <vector>

namespace qlr {

class KernelRewriter {
public:
  /// `kernel` has the GPU thread as its first argument.
  KernelRewriter(llvm::Function &kernel, llvm::GlobalVariable &operations);

  /// Rewrites the whole body. What has no host model is collected in `refused`.
  void run(bool instrument);

  /// What has no host model, in the order of the code, each once.
  std::vector<std::string> refused;
  /// Texts of the sites, by number.
  std::vector<std::string> sites;

  // For the tables of operations.
  void refuse(const std::string &what);
  /// A new site for `instruction`, which accesses `pointer` (or nothing): its number as a constant.
  llvm::Value *site(llvm::Instruction &instruction, llvm::StringRef text, llvm::Value *pointer = nullptr);
  llvm::Value *call(EmulatorOp op, llvm::Type *result, llvm::ArrayRef<llvm::Value *> arguments);
  /// Calls a collective with `words` and returns word `i` of its result through result(i, type).
  void collective(EmulatorOp op, llvm::ArrayRef<llvm::Value *> words, llvm::Value *site);
  llvm::Value *result(unsigned i, llvm::Type *type);
  /// All results as `type`: one word, or a struct of words.
  llvm::Value *results(llvm::Type *type);
  /// A field of the EmulatorThread at `offset`.
  llvm::Value *threadField(size_t offset, llvm::Type *type);
  llvm::Value *word(uint32_t value) { return builder.getInt32(value); }
  /// The space that a pointer of this type points to.
  static EmulatorSpace space(llvm::Value *pointer);
  /// True for memory that belongs to one thread or is constant data of the module: it is not checked.
  static bool isPrivate(llvm::Value *pointer);
  /// 1 + the number of the kernel's parameter that `pointer` comes from; 0 where that is not known.
  static uint32_t parameter(llvm::Value *pointer);

  llvm::IRBuilder<> builder;

private:
  void replaceShared();
  void rewriteAccess(llvm::Instruction &instruction, bool instrument);
  void rewriteAtomic(llvm::Instruction &instruction);
  void rewriteBlockCopy(llvm::Instruction &instruction, bool instrument);
  void rewriteBfloat(llvm::Instruction &instruction);
  void rewriteCall(llvm::CallInst &call, bool instrument);
  void checkInstruction(llvm::Instruction &instruction);

  llvm::Function &kernel;
  llvm::Module &module;
  llvm::GlobalVariable &operations;
  llvm::Value *thread, *in, *out;
};

/// Rewrites a call of an intrinsic, or of inline assembly, of the device. Returns the value that takes its place (null
/// where it has none) in `value`; false when there is no model of it.
bool rewriteDeviceCall(KernelRewriter &rewriter, llvm::CallInst &call, llvm::Value *&value);

/// `name` as it stands in reports and refusals: "llvm.nvvm." taken off.
llvm::StringRef shortName(llvm::StringRef name);

} // namespace qlr

#endif // QLR_CODEGEN_EMULATOR_KERNELREWRITER_H
