// Loads, stores, atomics and block copies: announced to the checker, or carried out by the runtime.
#include "codegen/emulator/KernelRewriter.h"

#include "llvm/IR/IntrinsicInst.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace qlr {
namespace {

std::string typed(StringRef what, Type *type) {
  std::string text;
  raw_string_ostream(text) << what << ' ' << *type;
  return text;
}

/// What of an order NVPTX keeps. LLVM 22 drops the ordering of atomicrmw altogether, so that a kernel that relies on it
/// has a race on the GPU; it has one here too.
uint32_t orderBits(AtomicOrdering order) {
  return (isAcquireOrStronger(order) ? EmulatorAcquire : 0u) | (isReleaseOrStronger(order) ? EmulatorRelease : 0u);
}

bool atomicOperation(AtomicRMWInst::BinOp operation, EmulatorAtomic &result) {
  switch (operation) {
  case AtomicRMWInst::Xchg:
    result = EmulatorAtomic::Exchange;
    return true;
  case AtomicRMWInst::Add:
    result = EmulatorAtomic::Add;
    return true;
  case AtomicRMWInst::And:
    result = EmulatorAtomic::And;
    return true;
  case AtomicRMWInst::Or:
    result = EmulatorAtomic::Or;
    return true;
  case AtomicRMWInst::Xor:
    result = EmulatorAtomic::Xor;
    return true;
  case AtomicRMWInst::Min:
    result = EmulatorAtomic::Min;
    return true;
  case AtomicRMWInst::Max:
    result = EmulatorAtomic::Max;
    return true;
  case AtomicRMWInst::UMin:
    result = EmulatorAtomic::UMin;
    return true;
  case AtomicRMWInst::UMax:
    result = EmulatorAtomic::UMax;
    return true;
  case AtomicRMWInst::FAdd:
    result = EmulatorAtomic::FAdd;
    return true;
  default:
    return false;
  }
}

/// A value of 4 or 8 bytes as the 64 bits that Atomic takes, and back.
Value *toBits(IRBuilder<> &builder, Value *value) {
  Type *type = value->getType();
  if (type->isPointerTy())
    return builder.CreatePtrToInt(value, builder.getInt64Ty());
  Type *integer = builder.getIntNTy(static_cast<unsigned>(type->getPrimitiveSizeInBits()));
  return builder.CreateZExtOrTrunc(builder.CreateBitCast(value, integer), builder.getInt64Ty());
}

Value *fromBits(IRBuilder<> &builder, Value *bits, Type *type) {
  if (type->isPointerTy())
    return builder.CreateIntToPtr(bits, type);
  Type *integer = builder.getIntNTy(static_cast<unsigned>(type->getPrimitiveSizeInBits()));
  return builder.CreateBitCast(builder.CreateTrunc(bits, integer), type);
}

bool isWord(const DataLayout &layout, Type *type) {
  uint64_t bytes = layout.getTypeStoreSize(type);
  return !type->isAggregateType() && (bytes == 4 || bytes == 8);
}

} // namespace

void KernelRewriter::rewriteAccess(Instruction &instruction, bool instrument) {
  auto *load = dyn_cast<LoadInst>(&instruction);
  auto *store = dyn_cast<StoreInst>(&instruction);
  Value *pointer = getLoadStorePointerOperand(&instruction);
  Type *type = getLoadStoreType(&instruction);
  // Loads of the weights may be marked invariant or noalias; nothing must move them before the check.
  instruction.dropUnknownNonDebugMetadata();
  if (isPrivate(pointer))
    return;
  if (instruction.isAtomic() || instruction.isVolatile())
    return rewriteAtomic(instruction);
  if (!instrument)
    return;
  uint64_t bytes = module.getDataLayout().getTypeStoreSize(type);
  uint32_t align = Log2(load ? load->getAlign() : store->getAlign());
  Value *what = word(emulatorAccess(static_cast<uint32_t>(bytes), align, space(pointer), parameter(pointer)));
  call(load ? EmulatorOp::Read : EmulatorOp::Write, builder.getVoidTy(),
       {pointer, what, site(instruction, typed(instruction.getOpcodeName(), type), pointer)});
}

/// Atomic and volatile accesses and fences are carried out by the runtime, instrumented or not: blocks give way there.
void KernelRewriter::rewriteAtomic(Instruction &instruction) {
  if (auto *fence = dyn_cast<FenceInst>(&instruction)) {
    call(EmulatorOp::Fence, builder.getVoidTy(), {word(orderBits(fence->getOrdering()))});
    instruction.eraseFromParent();
    return;
  }
  const DataLayout &layout = module.getDataLayout();
  EmulatorAtomic operation;
  uint32_t order = EmulatorRelaxed;
  Value *pointer, *value = builder.getInt64(0), *expected = builder.getInt64(0);
  Type *type;
  if (auto *load = dyn_cast<LoadInst>(&instruction)) {
    operation = EmulatorAtomic::Load;
    pointer = load->getPointerOperand();
    type = load->getType();
    order = orderBits(load->getOrdering());
  } else if (auto *store = dyn_cast<StoreInst>(&instruction)) {
    operation = EmulatorAtomic::Store;
    pointer = store->getPointerOperand();
    type = store->getValueOperand()->getType();
    order = orderBits(store->getOrdering());
  } else if (auto *exchange = dyn_cast<AtomicCmpXchgInst>(&instruction)) {
    operation = EmulatorAtomic::CompareExchange;
    pointer = exchange->getPointerOperand();
    type = exchange->getNewValOperand()->getType();
    order = orderBits(exchange->getSuccessOrdering());
  } else {
    auto &update = cast<AtomicRMWInst>(instruction);
    pointer = update.getPointerOperand();
    type = update.getType();
    if (!atomicOperation(update.getOperation(), operation) || (type->isFloatingPointTy() && !type->isFloatTy()))
      return refuse(typed(("atomicrmw " + AtomicRMWInst::getOperationName(update.getOperation())).str(), type));
  }
  std::string text = typed(instruction.isAtomic() ? ("atomic " + Twine(instruction.getOpcodeName())).str()
                                                  : "volatile " + std::string(instruction.getOpcodeName()),
                           type);
  bool floating = type->isFloatingPointTy();
  if (!isWord(layout, type) || (floating && operation >= EmulatorAtomic::Add && operation != EmulatorAtomic::FAdd))
    return refuse(text);
  if (auto *store = dyn_cast<StoreInst>(&instruction))
    value = toBits(builder, store->getValueOperand());
  else if (auto *exchange = dyn_cast<AtomicCmpXchgInst>(&instruction)) {
    value = toBits(builder, exchange->getNewValOperand());
    expected = toBits(builder, exchange->getCompareOperand());
  } else if (auto *update = dyn_cast<AtomicRMWInst>(&instruction))
    value = toBits(builder, update->getValOperand());
  uint32_t what = emulatorAtomic(operation, order, static_cast<uint32_t>(layout.getTypeStoreSize(type)), space(pointer),
                                 parameter(pointer));
  Value *old = call(EmulatorOp::Atomic, builder.getInt64Ty(),
                    {pointer, word(what), value, expected, site(instruction, text, pointer)});
  if (!instruction.getType()->isVoidTy()) {
    Value *result = fromBits(builder, old, type);
    if (isa<AtomicCmpXchgInst>(instruction)) {
      Value *equal = builder.CreateICmpEQ(toBits(builder, result), expected);
      result = builder.CreateInsertValue(PoisonValue::get(instruction.getType()), result, 0);
      result = builder.CreateInsertValue(result, equal, 1);
    }
    instruction.replaceAllUsesWith(result);
  }
  instruction.eraseFromParent();
}

/// Copies are calls in any case: the backend would call memcpy, which the library does not have.
void KernelRewriter::rewriteBlockCopy(Instruction &instruction, bool instrument) {
  auto spaceOf = [&](Value *pointer) {
    return static_cast<uint32_t>(space(pointer)) | (instrument && !isPrivate(pointer) ? 0u : 8u);
  };
  auto &copy = cast<MemIntrinsic>(instruction);
  Value *bytes = builder.CreateZExtOrTrunc(copy.getLength(), builder.getInt64Ty());
  if (auto *transfer = dyn_cast<MemTransferInst>(&copy)) {
    uint32_t spaces = spaceOf(transfer->getRawDest()) | spaceOf(transfer->getRawSource()) << 4;
    call(EmulatorOp::Copy, builder.getVoidTy(),
         {transfer->getRawDest(), transfer->getRawSource(), bytes, word(spaces),
          site(instruction, "memcpy", transfer->getRawDest())});
  } else {
    auto &set = cast<MemSetInst>(copy);
    call(EmulatorOp::Set, builder.getVoidTy(),
         {set.getRawDest(), builder.CreateZExt(set.getValue(), builder.getInt32Ty()), bytes,
          word(spaceOf(set.getRawDest())), site(instruction, "memset", set.getRawDest())});
  }
  instruction.eraseFromParent();
}

} // namespace qlr
