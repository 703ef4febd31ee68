// One function per kind of fault: what it fits, and what it does there.
#include "codegen/emulator/Mutation.h"

#include "codegen/nvptx/Snippets.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace qlr {
namespace {

bool callsIntrinsic(Instruction &instruction, StringRef prefix) {
  auto *call = dyn_cast<CallInst>(&instruction);
  return call && call->getCalledFunction() && call->getCalledFunction()->getName().starts_with(prefix);
}

bool callsSnippet(Instruction &instruction, StringRef name) {
  auto *call = dyn_cast<CallInst>(&instruction);
  auto *text = call ? dyn_cast<InlineAsm>(call->getCalledOperand()) : nullptr;
  return text && text->getAsmString() == snippet(name).text;
}

void replaceSnippet(Instruction &instruction, StringRef name) {
  auto &call = cast<CallInst>(instruction);
  const Snippet &other = snippet(name);
  call.setCalledOperand(InlineAsm::get(call.getFunctionType(), other.text, other.constraints, other.hasSideEffects));
}

/// The operand of an address computation that varies between threads or rounds, or none.
Use *variableIndex(Instruction &instruction) {
  auto *address = dyn_cast<GetElementPtrInst>(&instruction);
  if (!address)
    return nullptr;
  for (Use &index : address->indices())
    if (!isa<Constant>(index.get()))
      return &index;
  return nullptr;
}

struct Kind {
  const char *name;
  bool (*fits)(Instruction &);
  void (*apply)(Instruction &);
};

constexpr Kind kKinds[] = {
    {"barrier", [](Instruction &i) { return callsIntrinsic(i, "llvm.nvvm.barrier.cta.sync"); },
     [](Instruction &i) { i.eraseFromParent(); }},
    {"index", [](Instruction &i) { return variableIndex(i) != nullptr; },
     [](Instruction &i) {
       // Offsets are in bytes; the smallest thing kernels index by thread is a word.
       Use &index = *variableIndex(i);
       IRBuilder<> builder(&i);
       index.set(builder.CreateAdd(index.get(), ConstantInt::get(index->getType(), 4)));
     }},
    {"mask", [](Instruction &i) { return callsIntrinsic(i, "llvm.nvvm.shfl.sync"); },
     [](Instruction &i) { i.setOperand(0, ConstantInt::get(i.getOperand(0)->getType(), 0xffff)); }},
    {"wait", [](Instruction &i) { return callsIntrinsic(i, "llvm.nvvm.cp.async.wait"); },
     [](Instruction &i) { i.eraseFromParent(); }},
    {"release",
     [](Instruction &i) {
       return callsSnippet(i, "red_release_gpu_add_u32") || callsSnippet(i, "atom_acq_rel_gpu_add_u32");
     },
     [](Instruction &i) {
       if (callsSnippet(i, "atom_acq_rel_gpu_add_u32"))
         return replaceSnippet(i, "atom_relaxed_gpu_add_u32");
       IRBuilder<> builder(&i);
       auto &call = cast<CallInst>(i);
       const Snippet &relaxed = snippet("atom_relaxed_gpu_add_u32");
       auto *type =
           FunctionType::get(builder.getInt32Ty(), {call.getArgOperand(0)->getType(), builder.getInt32Ty()}, false);
       builder.CreateCall(InlineAsm::get(type, relaxed.text, relaxed.constraints, relaxed.hasSideEffects),
                          {call.getArgOperand(0), call.getArgOperand(1)});
       call.eraseFromParent();
     }},
    {"acquire", [](Instruction &i) { return callsSnippet(i, "ld_acquire_gpu_u32"); },
     [](Instruction &i) {
       IRBuilder<> builder(&i);
       auto *load = builder.CreateLoad(builder.getInt32Ty(), cast<CallInst>(i).getArgOperand(0), /*isVolatile=*/true);
       i.replaceAllUsesWith(load);
       i.eraseFromParent();
     }},
};

} // namespace

int mutate(Module &module, const std::string &kind, int number) {
  for (const Kind &one : kKinds) {
    if (kind != one.name)
      continue;
    int count = 0;
    Instruction *chosen = nullptr;
    for (Function &function : module)
      for (Instruction &instruction : instructions(function))
        if (one.fits(instruction) && count++ == number)
          chosen = &instruction;
    if (chosen)
      one.apply(*chosen);
    return count;
  }
  return -1;
}

} // namespace qlr
