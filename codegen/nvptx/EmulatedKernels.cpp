// Each kernel in an LLVM context of its own, in parallel; objects that tests made before are taken from a folder.
#include "codegen/nvptx/EmulatedKernels.h"

#include "codegen/emulator/EmulatorObject.h"
#include "codegen/emulator/Mutation.h"
#include "codegen/host/HostObject.h"
#include "codegen/nvptx/NvptxObject.h"
#include "runtime/format/Hash.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Parallel.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace qlr {
namespace {

llvm::cl::opt<std::string> mutationOption(
    "emulator-mutation", llvm::cl::Hidden,
    llvm::cl::desc(
        "plant a fault for tests: KERNEL:KIND:NUMBER (codegen/emulator/Mutation.h); says how many places fit"));
llvm::cl::opt<std::string>
    objectsOption("emulator-objects", llvm::cl::Hidden,
                  llvm::cl::desc("folder of kernels' objects, kept for the next compilation by the same compiler"));

/// The fault that --emulator-mutation plants in this kernel, as KIND:NUMBER, or nothing.
StringRef mutationOf(StringRef kernel) {
  auto [name, fault] = StringRef(mutationOption).split(':');
  return name == kernel ? fault : StringRef();
}

void plant(llvm::Module &module, StringRef fault) {
  auto [kind, number] = fault.split(':');
  int place = 0;
  if (!number.getAsInteger(10, place))
    llvm::errs() << "mutation " << kind << ": place " << place << " of " << mutate(module, kind.str(), place) << "\n";
}

/// Where the object of `kernel` is kept: its text says all that decides about the code.
std::string keptObject(gpu::GPUModuleOp kernel, unsigned sm) {
  std::string text = std::to_string(sm) + "\n";
  llvm::raw_string_ostream stream(text);
  kernel->print(stream, OpPrintingFlags().useLocalScope().printGenericOpForm());
  return objectsOption + "/" + xxh64Hex(std::as_bytes(std::span<const char>(text))) + ".o";
}

bool compileKernel(gpu::GPUModuleOp kernel, unsigned sm, llvm::SmallVectorImpl<char> &object, std::string &error) {
  const StringRef fault = mutationOf(kernel.getName());
  const std::string kept = objectsOption.empty() || !fault.empty() ? "" : keptObject(kernel, sm);
  if (!kept.empty())
    if (auto file = llvm::MemoryBuffer::getFile(kept, /*IsText=*/false, /*RequiresNullTerminator=*/false)) {
      object.assign((*file)->getBufferStart(), (*file)->getBufferEnd());
      return true;
    }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateToDeviceIr(kernel, sm, context);
  if (!module) {
    error = "translation to LLVM IR failed";
    return false;
  }
  plant(*module, fault);
  if (!emitEmulatorObject(*module, EmulatorOptions(), object, error))
    return false;
  if (kept.empty())
    return true;
  llvm::Error written = llvm::writeToOutput(kept, [&](llvm::raw_ostream &out) {
    out.write(object.data(), object.size());
    return llvm::Error::success();
  });
  if (written)
    error = toString(std::move(written));
  return error.empty();
}

} // namespace

LogicalResult compileEmulated(llvm::ArrayRef<gpu::GPUModuleOp> kernels, unsigned sm,
                              llvm::SmallVectorImpl<char> &library) {
  std::vector<llvm::SmallVector<char, 0>> objects(kernels.size());
  std::vector<std::string> errors(kernels.size());
  llvm::parallelFor(0, kernels.size(), [&](size_t i) {
    gpu::GPUModuleOp kernel = kernels[i];
    (void)compileKernel(kernel, sm, objects[i], errors[i]);
  });
  for (auto [kernel, error] : llvm::zip_equal(kernels, errors))
    if (!error.empty())
      return gpu::GPUModuleOp(kernel).emitError() << error;
  std::string error;
  if (!linkHostLibrary(objects, library, error))
    return mlir::emitError(UnknownLoc::get(gpu::GPUModuleOp(kernels.front())->getContext())) << error;
  return success();
}

} // namespace qlr
