// The body of a kernel: every instruction once, in order.
#include "codegen/emulator/KernelRewriter.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace qlr {
namespace {

/// Intrinsics that the x86-64-v3 backend turns into instructions.
bool isInline(Intrinsic::ID id) {
  switch (id) {
  case Intrinsic::abs:
  case Intrinsic::smin:
  case Intrinsic::smax:
  case Intrinsic::umin:
  case Intrinsic::umax:
  case Intrinsic::sadd_sat:
  case Intrinsic::uadd_sat:
  case Intrinsic::ssub_sat:
  case Intrinsic::usub_sat:
  case Intrinsic::sadd_with_overflow:
  case Intrinsic::uadd_with_overflow:
  case Intrinsic::ssub_with_overflow:
  case Intrinsic::usub_with_overflow:
  case Intrinsic::smul_with_overflow:
  case Intrinsic::umul_with_overflow:
  case Intrinsic::fshl:
  case Intrinsic::fshr:
  case Intrinsic::ctpop:
  case Intrinsic::ctlz:
  case Intrinsic::cttz:
  case Intrinsic::bitreverse:
  case Intrinsic::bswap:
  case Intrinsic::scmp:
  case Intrinsic::ucmp:
  case Intrinsic::fma:
  case Intrinsic::fmuladd:
  case Intrinsic::sqrt:
  case Intrinsic::fabs:
  case Intrinsic::copysign:
  case Intrinsic::minnum:
  case Intrinsic::maxnum:
  case Intrinsic::minimum:
  case Intrinsic::maximum:
  case Intrinsic::minimumnum:
  case Intrinsic::maximumnum:
  case Intrinsic::floor:
  case Intrinsic::ceil:
  case Intrinsic::trunc:
  case Intrinsic::rint:
  case Intrinsic::nearbyint:
  case Intrinsic::round:
  case Intrinsic::roundeven:
  case Intrinsic::fptosi_sat:
  case Intrinsic::fptoui_sat:
  case Intrinsic::vector_reduce_add:
  case Intrinsic::vector_reduce_mul:
  case Intrinsic::vector_reduce_and:
  case Intrinsic::vector_reduce_or:
  case Intrinsic::vector_reduce_xor:
  case Intrinsic::vector_reduce_smax:
  case Intrinsic::vector_reduce_smin:
  case Intrinsic::vector_reduce_umax:
  case Intrinsic::vector_reduce_umin:
  case Intrinsic::vector_reduce_fadd:
  case Intrinsic::vector_reduce_fmax:
  case Intrinsic::vector_reduce_fmin:
  case Intrinsic::lifetime_start:
  case Intrinsic::lifetime_end:
  case Intrinsic::assume:
  case Intrinsic::expect:
  case Intrinsic::sideeffect:
  case Intrinsic::donothing:
  case Intrinsic::experimental_noalias_scope_decl:
    return true;
  default:
    return false;
  }
}

bool hasBfloat(Type *type) { return type->getScalarType()->isBFloatTy(); }

} // namespace

StringRef shortName(StringRef name) {
  name.consume_front("llvm.nvvm.");
  name.consume_front("llvm.");
  return name;
}

KernelRewriter::KernelRewriter(Function &kernel, GlobalVariable &operations)
    : builder(kernel.getContext()), kernel(kernel), module(*kernel.getParent()), operations(operations),
      thread(kernel.getArg(0)) {
  builder.SetInsertPointPastAllocas(&kernel);
  auto *words = ArrayType::get(builder.getInt32Ty(), emulatorWords);
  in = builder.CreateAlloca(words, nullptr, "in");
  out = builder.CreateAlloca(words, nullptr, "out");
}

void KernelRewriter::refuse(const std::string &what) {
  if (!is_contained(refused, what))
    refused.push_back(what);
}

Value *KernelRewriter::site(Instruction &instruction, StringRef text, Value *pointer) {
  SmallVector<std::string, 3> details;
  if (uint32_t number = pointer ? parameter(pointer) : 0)
    details.push_back("parameter " + std::to_string(number - 1));
  if (const DebugLoc &at = instruction.getDebugLoc())
    details.push_back("line " + std::to_string(at.getLine()));
  else if (instruction.getParent()->hasName())
    details.push_back("block %" + instruction.getParent()->getName().str());
  std::string full = text.str() + " #" + std::to_string(sites.size());
  if (!details.empty())
    full += " (" + join(details, ", ") + ")";
  sites.push_back(std::move(full));
  return builder.getInt32(static_cast<uint32_t>(sites.size() - 1));
}

Value *KernelRewriter::threadField(size_t offset, Type *type) {
  auto *load = builder.CreateLoad(type, builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), thread, offset));
  load->setMetadata(LLVMContext::MD_invariant_load, MDNode::get(builder.getContext(), {}));
  return load;
}

Value *KernelRewriter::call(EmulatorOp op, Type *result, ArrayRef<Value *> arguments) {
  SmallVector<Value *> all;
  SmallVector<Type *> types;
  // The functions of numbers take numbers only.
  if (op < EmulatorOp::Ex2)
    all.push_back(thread);
  for (Value *argument : arguments) {
    if (argument->getType()->isPointerTy())
      argument = builder.CreateAddrSpaceCast(argument, builder.getPtrTy());
    all.push_back(argument);
  }
  for (Value *argument : all)
    types.push_back(argument->getType());
  Value *slot = builder.CreateConstInBoundsGEP1_64(builder.getPtrTy(), &operations, static_cast<uint64_t>(op));
  Value *function = builder.CreateLoad(builder.getPtrTy(), slot);
  return builder.CreateCall(FunctionType::get(result, types, false), function, all);
}

void KernelRewriter::collective(EmulatorOp op, ArrayRef<Value *> words, Value *site) {
  unsigned at = 0;
  for (Value *value : words) {
    Type *type = value->getType();
    if (type->isIntegerTy(1))
      value = builder.CreateZExt(value, builder.getInt32Ty());
    else if (type->isPointerTy())
      value = builder.CreatePtrToInt(value, builder.getInt64Ty());
    builder.CreateAlignedStore(value, builder.CreateConstInBoundsGEP1_64(builder.getInt32Ty(), in, at), Align(4));
    at += value->getType()->getPrimitiveSizeInBits() / 32;
  }
  assert(at <= emulatorWords && "a collective with more words than the runtime reads");
  call(op, builder.getVoidTy(), {out, in, site});
}

Value *KernelRewriter::result(unsigned i, Type *type) {
  Value *address = builder.CreateConstInBoundsGEP1_64(builder.getInt32Ty(), out, i);
  if (type->isIntegerTy(1))
    return builder.CreateICmpNE(builder.CreateAlignedLoad(builder.getInt32Ty(), address, Align(4)), word(0));
  return builder.CreateAlignedLoad(type, address, Align(4));
}

Value *KernelRewriter::results(Type *type) {
  auto *structure = dyn_cast<StructType>(type);
  if (!structure)
    return result(0, type);
  Value *value = PoisonValue::get(type);
  for (unsigned i = 0; i < structure->getNumElements(); ++i)
    value = builder.CreateInsertValue(value, result(i, structure->getElementType(i)), i);
  return value;
}

EmulatorSpace KernelRewriter::space(Value *pointer) {
  switch (pointer->getType()->getPointerAddressSpace()) {
  case 1:
    return EmulatorSpace::Global;
  case 3:
    return EmulatorSpace::Shared;
  default:
    return EmulatorSpace::Generic;
  }
}

bool KernelRewriter::isPrivate(Value *pointer) {
  const Value *object = getUnderlyingObject(pointer, /*MaxLookup=*/0);
  unsigned space = pointer->getType()->getPointerAddressSpace();
  return space == 4 || space == 5 || isa<AllocaInst>(object) || isa<GlobalVariable>(object);
}

uint32_t KernelRewriter::parameter(Value *pointer) {
  SmallVector<const Value *, 4> objects;
  getUnderlyingObjects(pointer, objects, nullptr, /*MaxLookup=*/0);
  const auto *argument = objects.size() == 1 ? dyn_cast<Argument>(objects.front()) : nullptr;
  // Argument 0 is the GPU thread.
  return argument && argument->getArgNo() <= emulatorParameters ? argument->getArgNo() : 0;
}

void KernelRewriter::run(bool instrument) {
  // Only what the kernel came with: what is added here needs no rewriting.
  SmallVector<Instruction *> all;
  for (Instruction &instruction : instructions(kernel))
    if (&instruction != in && &instruction != out)
      all.push_back(&instruction);
  replaceShared();
  for (GlobalVariable &global : module.globals())
    if (!global.isConstant() && &global != &operations)
      refuse("the variable " + global.getName().str() + " (shared memory is @qlr_shared, dynamic)");
  for (Instruction *instruction : all) {
    builder.SetInsertPoint(instruction);
    if (auto *call = dyn_cast<CallInst>(instruction))
      rewriteCall(*call, instrument);
    else if (isa<LoadInst, StoreInst>(instruction))
      rewriteAccess(*instruction, instrument);
    else if (isa<AtomicRMWInst, AtomicCmpXchgInst, FenceInst>(instruction))
      rewriteAtomic(*instruction);
    else if (isa<FPExtInst, FPTruncInst>(instruction))
      rewriteBfloat(*instruction);
    else
      checkInstruction(*instruction);
  }
}

/// @qlr_shared becomes the block's memory, constant expressions of it instructions.
void KernelRewriter::replaceShared() {
  GlobalVariable *shared = module.getNamedGlobal("qlr_shared");
  if (!shared)
    return;
  convertUsersOfConstantsToInstructions({shared});
  builder.SetInsertPointPastAllocas(&kernel);
  Value *base = threadField(offsetof(EmulatorThread, shared), builder.getPtrTy());
  shared->replaceAllUsesWith(builder.CreateAddrSpaceCast(base, shared->getType()));
  shared->eraseFromParent();
}

void KernelRewriter::rewriteCall(CallInst &call, bool instrument) {
  Function *callee = call.getCalledFunction();
  Intrinsic::ID id = callee ? callee->getIntrinsicID() : Intrinsic::not_intrinsic;
  if (isa<DbgInfoIntrinsic>(call))
    return;
  if (isa<MemIntrinsic>(call))
    return rewriteBlockCopy(call, instrument);
  if (isInline(id)) {
    if (hasBfloat(call.getType()) || any_of(call.args(), [](Value *v) { return hasBfloat(v->getType()); }))
      refuse((callee->getName() + " of bfloat").str());
    if (id == Intrinsic::assume || id == Intrinsic::experimental_noalias_scope_decl)
      call.eraseFromParent();
    return;
  }
  Value *value = nullptr;
  if (!rewriteDeviceCall(*this, call, value)) {
    if (auto *assembly = dyn_cast<InlineAsm>(call.getCalledOperand()))
      refuse("inline PTX \"" + assembly->getAsmString().str() + "\"");
    else
      refuse(callee ? callee->getName().str() : "an indirect call");
    value = call.getType()->isVoidTy() ? nullptr : PoisonValue::get(call.getType());
  }
  if (value && !call.getType()->isVoidTy())
    call.replaceAllUsesWith(value);
  call.eraseFromParent();
}

/// What the backend would turn into a call of a library function.
void KernelRewriter::checkInstruction(Instruction &instruction) {
  auto text = [&] { return std::string(instruction.getOpcodeName()); };
  if (instruction.getOpcode() == Instruction::FRem)
    refuse("frem");
  bool bfloat = hasBfloat(instruction.getType()) ||
                (instruction.getNumOperands() > 0 && hasBfloat(instruction.getOperand(0)->getType()));
  if (bfloat &&
      (isa<BinaryOperator, UnaryOperator, FCmpInst, SIToFPInst, UIToFPInst, FPToSIInst, FPToUIInst>(instruction)))
    refuse(text() + " of bfloat");
  if (isa<IndirectBrInst, InvokeInst, VAArgInst>(instruction))
    refuse(text());
  bool divides = instruction.getOpcode() == Instruction::SDiv || instruction.getOpcode() == Instruction::UDiv ||
                 instruction.getOpcode() == Instruction::SRem || instruction.getOpcode() == Instruction::URem;
  if ((divides || isa<CastInst>(instruction)) && instruction.getType()->getScalarSizeInBits() > 64 &&
      !isa<ZExtInst, SExtInst, BitCastInst>(instruction))
    refuse(text() + " of more than 64 bits");
}

/// The backend has no instruction for bfloat: the high half of a float, rounded to nearest even, NaN canonical as the
/// hardware makes it.
void KernelRewriter::rewriteBfloat(Instruction &instruction) {
  Value *value = instruction.getOperand(0);
  Type *from = value->getType(), *to = instruction.getType();
  if (!hasBfloat(from) && !hasBfloat(to)) {
    if (from->getScalarType()->isDoubleTy() && to->getScalarType()->isHalfTy())
      refuse("fptrunc of double to half");
    return;
  }
  Type *words = from->getWithNewType(builder.getInt32Ty());
  Type *halves = from->getWithNewType(builder.getInt16Ty());
  Value *result;
  if (hasBfloat(from)) {
    Value *bits = builder.CreateZExt(builder.CreateBitCast(value, halves), words);
    result = builder.CreateBitCast(builder.CreateShl(bits, 16), from->getWithNewType(builder.getFloatTy()));
    if (to != result->getType())
      result = builder.CreateFPExt(result, to);
  } else {
    if (!from->getScalarType()->isFloatTy())
      return refuse("fptrunc of double to bfloat");
    Value *bits = builder.CreateBitCast(value, words);
    Value *odd = builder.CreateAnd(builder.CreateLShr(bits, 16), ConstantInt::get(words, 1));
    Value *rounded = builder.CreateAdd(builder.CreateAdd(bits, ConstantInt::get(words, 0x7fff)), odd);
    Value *nan = builder.CreateFCmpUNO(value, value);
    Value *high = builder.CreateTrunc(builder.CreateLShr(rounded, 16), halves);
    high = builder.CreateSelect(nan, ConstantInt::get(halves, 0x7fff), high);
    result = builder.CreateBitCast(high, to);
  }
  instruction.replaceAllUsesWith(result);
  instruction.eraseFromParent();
}

} // namespace qlr
