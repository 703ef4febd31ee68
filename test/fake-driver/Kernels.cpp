#include "test/fake-driver/Kernels.h"

#include "runtime/emulator/Emulator.h"
#include "runtime/format/Artifact.h"
#include "runtime/format/Error.h"

#include <cstdio>
#include <dlfcn.h>

namespace qlr::cuda::fake {
namespace {

using NativeKernel = void (*)(void *const *params, unsigned grid, unsigned threads);

/// One target of an artifact: its PTX texts and their host code.
struct EmulatedTarget {
  std::set<std::string> texts;
  EmulatorLibrary library;
};

EmulatorMemory &memory() {
  static EmulatorMemory *memory = new EmulatorMemory; // outlives the process's end, as State
  return *memory;
}

std::set<std::string> splitTexts(std::span<const std::byte> image) {
  std::set<std::string> texts;
  std::string all(reinterpret_cast<const char *>(image.data()), image.size());
  for (size_t at = 0, end; (end = all.find('\0', at)) != std::string::npos; at = end + 1)
    texts.insert(all.substr(at, end - at));
  return texts;
}

/// The targets of every artifact named by the environment that have both PTX and an emulator's object.
std::vector<EmulatedTarget> &emulatedTargets() {
  static auto *targets = new std::vector<EmulatedTarget>;
  static std::string opened;
  const std::string paths = Settings::get().artifacts;
  if (paths == opened)
    return *targets;
  opened = paths;
  targets->clear();
  for (size_t at = 0; at < paths.size();) {
    size_t end = std::min(paths.find(':', at), paths.size());
    Artifact artifact = Artifact::open(paths.substr(at, end - at), Artifact::Verify::Header);
    for (const std::string &target : artifact.targets())
      if (const std::string tensor = "kernels/emulator:" + target;
          target.starts_with("sm_") && artifact.tensors().has(tensor))
        targets->push_back({splitTexts(artifact.kernels(target)),
                            EmulatorLibrary::open(artifact.kernels("emulator:" + target), artifact.path(), tensor)});
    at = end + 1;
  }
  return *targets;
}

EmulatedTarget *findEmulated(const std::string &ptx, const std::string &kernel) {
  for (EmulatedTarget &target : emulatedTargets())
    if (target.texts.count(ptx) && target.library.has(kernel))
      return &target;
  return nullptr;
}

NativeKernel findNative(const std::string &kernel) {
  const std::string path = Settings::get().nativeKernels;
  void *handle = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  return handle ? reinterpret_cast<NativeKernel>(dlsym(handle, kernel.c_str())) : nullptr;
}

} // namespace

std::optional<std::vector<uint32_t>> parametersOf(const std::string &ptx, const std::string &kernel) {
  try {
    if (EmulatedTarget *target = findEmulated(ptx, kernel))
      return target->library.parameterSizes(kernel);
  } catch (const Error &error) {
    wrong("cuModuleLoadDataEx", error.what(), CUDA_ERROR_INVALID_IMAGE);
    return std::nullopt;
  }
  if (!findNative(kernel))
    return std::nullopt;
  // Native kernels have as many as their PTX says: what is behind `extern "C"` cannot be asked.
  size_t count = 0;
  size_t begin = ptx.find(".entry " + kernel + "("), end = ptx.find(')', begin);
  for (size_t at = begin; (at = ptx.find(".param", at)) < end; ++at)
    ++count;
  return std::vector<uint32_t>(count, 8);
}

CUresult run(const Launch &launch) {
  const Settings settings = Settings::get();
  const std::string &name = launch.function->name;
  note("kernel " + name + " grid " + std::to_string(launch.grid));
  if (settings.fault == name)
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  std::vector<uint64_t> values = launch.params;
  std::vector<void *> params;
  for (uint64_t &value : values)
    params.push_back(&value);
  try {
    if (EmulatedTarget *target = findEmulated(launch.function->module->ptx, name)) {
      LaunchOptions options;
      options.seed = settings.seed;
      options.checks = settings.checks;
      target->library.launch(memory(), name, launch.grid, launch.threads, launch.shared, params.data(), options);
      return CUDA_SUCCESS;
    }
  } catch (const Error &error) {
    return wrong("a kernel", error.what(), CUDA_ERROR_ILLEGAL_ADDRESS);
  }
  // Native kernels take their parameters' values.
  std::vector<void *> pointers;
  for (uint64_t value : values)
    pointers.push_back(reinterpret_cast<void *>(value));
  findNative(name)(pointers.data(), launch.grid, launch.threads);
  return CUDA_SUCCESS;
}

void registerBuffer(uint64_t base, uint64_t bytes, const char *name) {
  memory().registerBuffer(reinterpret_cast<const void *>(base), bytes, /*readOnly=*/false, name);
}

void forgetBuffer(uint64_t base) { memory().unregisterBuffer(reinterpret_cast<const void *>(base)); }

} // namespace qlr::cuda::fake
