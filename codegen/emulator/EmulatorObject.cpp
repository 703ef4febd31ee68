// From a module of one kernel to an object: retarget, rewrite, wrap, generate code.
#include "codegen/emulator/EmulatorObject.h"

#include "codegen/LlvmAnalyses.h"
#include "codegen/emulator/KernelRewriter.h"
#include "codegen/host/HostObject.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/IPO/AlwaysInliner.h"
#include "llvm/Transforms/Utils/ModuleUtils.h"

using namespace llvm;

namespace qlr {
namespace {

constexpr const char *kTriple = "x86_64-unknown-linux-gnu";
constexpr const char *kLayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128";
constexpr const char *kSection = "qlr_emulator_kernels"; // a name that makes the linker define __start_ and __stop_

/// The one kernel of `module`, or null with `error`.
Function *findKernel(Module &module, std::string &error) {
  Function *kernel = nullptr;
  for (Function &function : module) {
    if (function.getCallingConv() != CallingConv::PTX_Kernel)
      continue;
    if (kernel) {
      error = "two kernels in a module: " + kernel->getName().str() + " and " + function.getName().str();
      return nullptr;
    }
    kernel = &function;
  }
  if (!kernel)
    error = "no kernel (a function of calling convention ptx_kernel) in the module";
  return kernel;
}

/// Device functions become part of the kernel: only it gets the GPU thread.
void inlineFunctions(Module &module, Function &kernel) {
  for (Function &function : module)
    if (!function.isDeclaration() && &function != &kernel) {
      function.removeFnAttr(Attribute::NoInline);
      function.removeFnAttr(Attribute::OptimizeNone);
      function.addFnAttr(Attribute::AlwaysInline);
      function.setLinkage(GlobalValue::InternalLinkage);
    }
  PassBuilder builder;
  AlwaysInlinerPass(/*InsertLifetime=*/false).run(module, LlvmAnalyses(builder).get());
}

void stripAttributes(Module &module) {
  for (Function &function : module) {
    function.setAttributes({});
    function.setCallingConv(CallingConv::C);
    function.setMetadata("kernel", nullptr);
    for (BasicBlock &block : function)
      for (Instruction &instruction : block)
        if (auto *call = dyn_cast<CallBase>(&instruction)) {
          call->setAttributes({});
          call->setCallingConv(CallingConv::C);
        }
  }
}

/// `kernel` with the GPU thread as a first argument, under another name.
Function *addThread(Function &kernel) {
  LLVMContext &context = kernel.getContext();
  SmallVector<Type *> types = {PointerType::get(context, 0)};
  append_range(types, kernel.getFunctionType()->params());
  auto *result = Function::Create(FunctionType::get(Type::getVoidTy(context), types, false),
                                  GlobalValue::InternalLinkage, "", kernel.getParent());
  result->splice(result->begin(), &kernel);
  for (auto [from, to] : zip(kernel.args(), drop_begin(result->args()))) {
    to.takeName(&from);
    from.replaceAllUsesWith(&to);
  }
  if (DISubprogram *program = kernel.getSubprogram())
    result->setSubprogram(program);
  result->takeName(&kernel);
  kernel.eraseFromParent();
  return result;
}

Constant *text(Module &module, StringRef bytes) {
  Constant *data = ConstantDataArray::getString(module.getContext(), bytes);
  auto *global = new GlobalVariable(module, data->getType(), true, GlobalValue::PrivateLinkage, data);
  global->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
  return global;
}

/// `void name(EmulatorThread *, void *const *params)`, which reads the parameters as cuLaunchKernel does.
Function *makeEntry(Function &kernel, StringRef name) {
  Module &module = *kernel.getParent();
  IRBuilder<> builder(module.getContext());
  auto *type = FunctionType::get(builder.getVoidTy(), {builder.getPtrTy(), builder.getPtrTy()}, false);
  kernel.setName(name + ".device");
  Function *entry = Function::Create(type, GlobalValue::ExternalLinkage, name, module);
  builder.SetInsertPoint(BasicBlock::Create(module.getContext(), "", entry));
  SmallVector<Value *> arguments = {entry->getArg(0)};
  for (auto [i, argument] : enumerate(drop_begin(kernel.args()))) {
    Value *slot = builder.CreateConstInBoundsGEP1_64(builder.getPtrTy(), entry->getArg(1), i);
    arguments.push_back(builder.CreateLoad(argument.getType(), builder.CreateLoad(builder.getPtrTy(), slot)));
  }
  builder.CreateCall(&kernel, arguments);
  builder.CreateRetVoid();
  return entry;
}

/// The EmulatorKernel of this module and, once in a library, its EmulatorLibraryHeader.
void addTables(Module &module, Function &entry, Function &kernel, GlobalVariable &operations,
               ArrayRef<std::string> sites, bool instrument) {
  LLVMContext &context = module.getContext();
  IRBuilder<> builder(context);
  Type *pointer = builder.getPtrTy(), *i32 = builder.getInt32Ty();
  SmallVector<uint32_t> bytes;
  for (Argument &argument : drop_begin(kernel.args()))
    bytes.push_back(static_cast<uint32_t>(module.getDataLayout().getTypeAllocSize(argument.getType())));
  uint32_t count = static_cast<uint32_t>(bytes.size());
  bytes.push_back(0); // an array of no elements has no address
  Constant *sizes = ConstantDataArray::get(context, bytes);
  auto *sizesGlobal = new GlobalVariable(module, sizes->getType(), true, GlobalValue::PrivateLinkage, sizes);
  std::string siteTexts;
  for (const std::string &site : sites)
    siteTexts += site + '\0';
  auto *kernelType = StructType::get(context, {pointer, pointer, pointer, pointer, i32, i32, i32, i32});
  Constant *fields[] = {text(module, entry.getName()),
                        &entry,
                        sizesGlobal,
                        text(module, siteTexts),
                        builder.getInt32(count),
                        builder.getInt32(static_cast<uint32_t>(sites.size())),
                        builder.getInt32(instrument),
                        builder.getInt32(0)};
  auto *entryGlobal = new GlobalVariable(module, kernelType, false, GlobalValue::InternalLinkage,
                                         ConstantStruct::get(kernelType, fields), entry.getName() + ".kernel");
  entryGlobal->setSection(kSection);
  entryGlobal->setAlignment(Align(8));
  appendToUsed(module, {entryGlobal});

  auto boundary = [&](const char *prefix) {
    auto *global = new GlobalVariable(module, kernelType, false, GlobalValue::ExternalLinkage, nullptr,
                                      std::string(prefix) + kSection);
    global->setVisibility(GlobalValue::HiddenVisibility);
    return global;
  };
  auto *headerType = StructType::get(context, {i32, i32, pointer, pointer, pointer});
  Constant *header[] = {builder.getInt32(emulatorAbiVersion), builder.getInt32(emulatorOpCount), &operations,
                        boundary("__start_"), boundary("__stop_")};
  new GlobalVariable(module, headerType, false, GlobalValue::WeakAnyLinkage, ConstantStruct::get(headerType, header),
                     "qlr_emulator_library");
}

} // namespace

bool lowerToEmulator(Module &module, const EmulatorOptions &options, std::string &error) {
  Function *kernel = findKernel(module, error);
  if (!kernel)
    return false;
  std::string name = kernel->getName().str();
  for (Argument &argument : kernel->args())
    if (argument.hasByValAttr() || argument.getType()->isAggregateType()) {
      error = "kernel " + name + ": a parameter passed by value has no host model";
      return false;
    }
  inlineFunctions(module, *kernel);
  module.setTargetTriple(Triple(kTriple));
  module.setDataLayout(kLayout);
  if (NamedMDNode *annotations = module.getNamedMetadata("nvvm.annotations"))
    annotations->eraseFromParent();
  stripAttributes(module);
  kernel = addThread(*kernel);

  auto *table = ArrayType::get(PointerType::get(module.getContext(), 0), emulatorOpCount);
  auto *operations = new GlobalVariable(module, table, false, GlobalValue::WeakAnyLinkage,
                                        ConstantAggregateZero::get(table), "qlr_emulator_operations");
  operations->setVisibility(GlobalValue::HiddenVisibility);
  KernelRewriter rewriter(*kernel, *operations);
  rewriter.run(options.instrument);
  if (!rewriter.refused.empty()) {
    error = "kernel " + name + ": no host model of " + join(rewriter.refused, ", ");
    return false;
  }
  // Inlined functions and intrinsics that nothing calls any more.
  for (Function &function : make_early_inc_range(module))
    if (&function != kernel && function.use_empty())
      function.eraseFromParent();
  Function *entry = makeEntry(*kernel, name);
  addTables(module, *entry, *kernel, *operations, rewriter.sites, options.instrument);
  raw_string_ostream stream(error);
  if (verifyModule(module, &stream)) {
    error = "kernel " + name + ": the emulator made invalid IR: " + error;
    return false;
  }
  error.clear();
  return true;
}

bool emitEmulatorObject(Module &module, const EmulatorOptions &options, SmallVectorImpl<char> &object,
                        std::string &error) {
  // Checks and collectives take most of a run's time, the kernel's own instructions little: quick code generation,
  // which takes a third of -O1's time, makes runs of the demo model 1 % slower.
  return lowerToEmulator(module, options, error) &&
         emitHostCode(module, HostOutput::Object, object, error, CodeGenOptLevel::None);
}

} // namespace qlr
