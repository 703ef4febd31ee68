#include "runtime/emulator/Emulator.h"

#include "runtime/emulator/Launch.h"
#include "runtime/emulator/Operations.h"
#include "runtime/exec/Cpu.h"

#include <map>

namespace qlr {

struct EmulatorLibrary::Impl {
  KernelLibrary library;
  std::string file, tensor;
  const EmulatorLibraryHeader *header = nullptr;
  std::map<std::string, const EmulatorKernel *> kernels;

  const EmulatorKernel &find(const std::string &name) const {
    auto found = kernels.find(name);
    if (found == kernels.end())
      fail({.file = file,
            .tensor = tensor,
            .found = "no kernel '" + name + "'",
            .expected = "every kernel of the plan",
            .advice = "compile again"});
    return *found->second;
  }
};

EmulatorLibrary::EmulatorLibrary() : impl(std::make_unique<Impl>()) {}
EmulatorLibrary::~EmulatorLibrary() = default;
EmulatorLibrary::EmulatorLibrary(EmulatorLibrary &&) noexcept = default;
EmulatorLibrary &EmulatorLibrary::operator=(EmulatorLibrary &&) noexcept = default;

EmulatorLibrary EmulatorLibrary::open(std::span<const std::byte> image, const std::string &file,
                                      const std::string &tensor) {
  if (supportedCpuLevels().empty())
    fail({.file = file,
          .tensor = tensor,
          .found = "a processor below x86-64-v3",
          .expected = "one with AVX2, FMA and F16C, which emulated kernels use"});
  EmulatorLibrary result;
  Impl &impl = *result.impl;
  impl.file = file;
  impl.tensor = tensor;
  impl.library = KernelLibrary::open(image, file, tensor);
  impl.header = static_cast<const EmulatorLibraryHeader *>(impl.library.address("qlr_emulator_library"));
  if (impl.header->version != emulatorAbiVersion || impl.header->operationCount != emulatorOpCount)
    fail({.file = file,
          .tensor = tensor,
          .found = "version " + std::to_string(impl.header->version) + " with " +
                   std::to_string(impl.header->operationCount) + " operations",
          .expected = "version " + std::to_string(emulatorAbiVersion) + " with " + std::to_string(emulatorOpCount),
          .advice = "compile the model again with this version of qlr"});
  for (const EmulatorKernel *kernel = impl.header->begin; kernel != impl.header->end; ++kernel)
    impl.kernels[kernel->name] = kernel;
  return result;
}

std::vector<std::string> EmulatorLibrary::kernels() const {
  std::vector<std::string> names;
  for (const auto &[name, kernel] : impl->kernels)
    names.push_back(name);
  return names;
}

bool EmulatorLibrary::has(const std::string &kernel) const { return impl->kernels.count(kernel) != 0; }

std::vector<uint32_t> EmulatorLibrary::parameterSizes(const std::string &name) const {
  const EmulatorKernel &kernel = impl->find(name);
  return {kernel.parameterBytes, kernel.parameterBytes + kernel.parameters};
}

LaunchCounts EmulatorLibrary::launch(EmulatorMemory &memory, const std::string &name, uint32_t grid, uint32_t threads,
                                     uint64_t sharedBytes, void *const *params, const LaunchOptions &options) {
  const EmulatorKernel &kernel = impl->find(name);
  auto refuse = [&](const std::string &found, const std::string &expected) {
    fail({.tensor = "launch of kernel " + name, .found = found, .expected = expected});
  };
  if (grid == 0)
    refuse("no blocks", "at least one");
  if (threads == 0 || threads > 1024)
    refuse(std::to_string(threads) + " threads a block", "1 to 1024");
  if (sharedBytes > 227 * 1024)
    refuse(std::to_string(sharedBytes) + " bytes of shared memory", "at most " + std::to_string(227 * 1024));
  emu::Launch launch(memory.registry(), kernel, grid, threads, sharedBytes, params, options);
  emu::fillOperations(impl->header->operations, launch.checks);
  return launch.run();
}

} // namespace qlr
