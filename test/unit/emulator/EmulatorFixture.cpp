#include "test/unit/emulator/EmulatorFixture.h"

#include "codegen/emulator/EmulatorObject.h"
#include "codegen/host/HostObject.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

namespace qlr::test {
namespace {

/// "declare T @name(types)" for each called name that the body does not declare itself, from the calls' own types.
std::string declarations(const std::string &body) {
  std::string result;
  for (size_t at = 0; (at = body.find("@llvm.", at)) != std::string::npos;) {
    size_t end = body.find('(', at);
    std::string name = body.substr(at + 1, end - at - 1);
    at = end;
    if (result.find("@" + name + "(") != std::string::npos || body.find("declare") != std::string::npos)
      continue;
    llvm::LLVMContext context;
    llvm::Intrinsic::ID id = llvm::Intrinsic::lookupIntrinsicID(name);
    if (id == llvm::Intrinsic::not_intrinsic || llvm::Intrinsic::isOverloaded(id))
      continue;
    llvm::raw_string_ostream stream(result);
    auto *type = llvm::Intrinsic::getType(context, id);
    stream << "declare " << *type->getReturnType() << " @" << name << "(";
    for (unsigned i = 0; i < type->getNumParams(); ++i)
      stream << (i ? ", " : "") << *type->getParamType(i);
    stream << ")\n";
  }
  return result;
}

bool compile(const std::vector<std::string> &texts, bool instrument, llvm::SmallVectorImpl<char> &library,
             std::string &error) {
  EmulatorOptions options;
  options.instrument = instrument;
  std::vector<llvm::SmallVector<char, 0>> objects(texts.size());
  for (auto [text, object] : llvm::zip(texts, objects)) {
    llvm::SMDiagnostic diagnostic;
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(text, diagnostic, context);
    if (!module) {
      llvm::raw_string_ostream stream(error);
      diagnostic.print("kernel", stream, false);
      return false;
    }
    if (!emitEmulatorObject(*module, options, object, error))
      return false;
  }
  return linkHostLibrary(objects, library, error);
}

} // namespace

std::string deviceModule(const std::string &body) {
  return "target triple = \"nvptx64-nvidia-cuda\"\n"
         "target datalayout = \"e-p6:32:32-i64:64-i128:128-i256:256-v16:16-v32:32-n16:32:64\"\n"
         "@qlr_shared = external addrspace(3) global [0 x i8], align 16\n" +
         body + "\n" + declarations(body);
}

EmulatorLibrary compileKernels(const std::vector<std::string> &modules, bool instrument) {
  llvm::SmallVector<char, 0> object;
  std::string error;
  if (!compile(modules, instrument, object, error))
    throw Error(error);
  return EmulatorLibrary::open({reinterpret_cast<const std::byte *>(object.data()), object.size()}, "test", "kernels");
}

std::string refusal(const std::string &module) {
  llvm::SmallVector<char, 0> object;
  std::string error;
  return compile({module}, true, object, error) ? "" : error;
}

std::string perThread(unsigned inputs, const std::string &code, unsigned outputs) {
  std::string text = "define ptx_kernel void @k(ptr addrspace(1) %in, ptr addrspace(1) %out) {\nentry:\n"
                     "  %tid = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n";
  auto address = [&](const std::string &name, const char *array, unsigned count, unsigned i) {
    text += "  %" + name + "i = mul i32 %tid, " + std::to_string(count) + "\n  %" + name + "j = add i32 %" + name +
            "i, " + std::to_string(i) + "\n  %" + name + "p = getelementptr i32, ptr addrspace(1) %" + array +
            ", i32 %" + name + "j\n";
  };
  for (unsigned i = 0; i < inputs; ++i) {
    const std::string name = std::string(1, 'x').append(std::to_string(i));
    address(name, "in", inputs, i);
    text += "  %" + name + " = load i32, ptr addrspace(1) %" + name + "p\n";
  }
  text += code + "\n";
  for (unsigned i = 0; i < outputs; ++i) {
    const std::string name = std::string(1, 'y').append(std::to_string(i));
    address(name, "out", outputs, i);
    text += "  store i32 %" + name + ", ptr addrspace(1) %" + name + "p\n";
  }
  return text + "  ret void\n}\n";
}

std::vector<uint32_t> runPerThread(unsigned inputs, const std::string &code, unsigned outputs,
                                   const std::vector<uint32_t> &in, uint32_t threads, uint64_t sharedBytes) {
  Device device(perThread(inputs, code, outputs));
  std::vector<uint32_t> from = in, out(size_t(threads) * outputs, 0xdddddddd);
  from.resize(std::max<size_t>(1, size_t(threads) * inputs));
  device.buffer(from, "in", true);
  device.buffer(out, "out");
  EXPECT_EQ(device.run(1, threads, sharedBytes), "");
  return out;
}

std::vector<uint32_t> randomWords(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint32_t> words(count);
  for (uint32_t &word : words)
    word = random();
  return words;
}

std::string Device::run(uint32_t grid, uint32_t threads, uint64_t sharedBytes, const LaunchOptions &options) {
  std::vector<void *> params;
  for (void *&pointer : pointers)
    params.push_back(&pointer);
  try {
    counts = library.launch(memory, library.kernels().at(0), grid, threads, sharedBytes, params.data(), options);
  } catch (const Error &error) {
    return error.what();
  }
  return "";
}

} // namespace qlr::test
