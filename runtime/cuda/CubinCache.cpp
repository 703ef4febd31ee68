#include "runtime/cuda/CubinCache.h"

#include "runtime/exec/ModelStore.h"
#include "runtime/format/Error.h"
#include "runtime/format/Hash.h"
#include "runtime/format/MappedFile.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace qlr::cuda {
namespace {

namespace fs = std::filesystem;

/// Two buffers the driver's compiler writes into, and the option lists that name them.
class JitLog {
public:
  JitLog() {
    values = {info.data(), reinterpret_cast<void *>(info.size()), error.data(), reinterpret_cast<void *>(error.size())};
  }
  unsigned count() const { return static_cast<unsigned>(keys.size()); }
  int *optionKeys() { return keys.data(); }
  void **optionValues() { return values.data(); }

  /// What was written, on one line; errors first.
  std::string text() const {
    std::string all = std::string(error.data()) + "\n" + info.data(), line;
    for (char c : all) {
      if (c == '\n' || c == '\r')
        c = ' ';
      if (c != ' ' || (!line.empty() && line.back() != ' '))
        line += c;
    }
    while (!line.empty() && line.back() == ' ')
      line.pop_back();
    return line;
  }

private:
  std::array<char, 8192> info{}, error{};
  std::array<int, 4> keys = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER,
                             CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  std::array<void *, 4> values{};
};

[[noreturn]] void failCompiling(CUresult result, const JitLog &log, const std::string &kernel,
                                const std::string &file) {
  const std::string said = log.text();
  fail({.file = file,
        .tensor = "kernel " + kernel,
        .found = Driver::get().describe(result) + " from the driver's compiler" + (said.empty() ? "" : ": " + said),
        .expected = "PTX that this driver compiles",
        .advice = "update the driver, or compile the model again"});
}

Module loadImage(const void *image, JitLog &log, CUresult &result) {
  Module module;
  result = Driver::get().api.moduleLoadDataEx(module.out(), image, log.count(), log.optionKeys(), log.optionValues());
  return result == CUDA_SUCCESS ? std::move(module) : Module();
}

std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

constexpr size_t hashDigits = 16; // at the end of a kept file: the driver is told no size, and must not read a part

/// Writes a file whole or not at all. The cache is a convenience: a full disk is no error.
void keep(const std::string &path, std::span<const std::byte> cubin) {
  std::string temporary = path + "." + std::to_string(getpid()) + ".tmp";
  std::ofstream out(temporary, std::ios::binary);
  out.write(reinterpret_cast<const char *>(cubin.data()), static_cast<std::streamsize>(cubin.size()));
  bool written = (out << xxh64Hex(cubin) << std::flush).good();
  std::error_code error;
  if (written)
    fs::rename(temporary, path, error);
  if (!written || error)
    fs::remove(temporary, error);
}

/// Whether a kept file is what was written.
bool isWhole(std::string_view kept) {
  return kept.size() > hashDigits &&
         kept.substr(kept.size() - hashDigits) == xxh64Hex(bytesOf(kept.substr(0, kept.size() - hashDigits)));
}

} // namespace

KernelLoader::KernelLoader(const DeviceInfo &device) {
  deviceKey =
      device.name + "\n" + std::to_string(device.capability) + "\n" + std::to_string(Driver::get().version()) + "\n";
  try {
    folder = cacheDirectory() + "/cubin";
  } catch (const Error &) {
    return;
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || access(folder.c_str(), W_OK) != 0)
    folder.clear();
}

std::string KernelLoader::cachePath(std::string_view ptx) const {
  if (folder.empty())
    return {};
  return folder + "/" + xxh64Hex(bytesOf(deviceKey)) + "-" + xxh64Hex(bytesOf(ptx)) + ".cubin";
}

Module KernelLoader::load(std::string_view ptx, const std::string &kernel, const std::string &file) {
  const std::string path = cachePath(ptx);
  CUresult result = CUDA_SUCCESS;
  if (!path.empty() && fileExists(path)) {
    JitLog log;
    MappedFile cubin = MappedFile::open(path);
    if (isWhole(cubin.text()))
      if (Module module = loadImage(cubin.bytes().data(), log, result); result == CUDA_SUCCESS)
        return module;
    std::error_code ignored; // a damaged one is made again
    fs::remove(path, ignored);
  }
  ++compiledCount;
  if (!path.empty())
    return compileAndKeep(ptx, path, kernel, file);
  JitLog log;
  Module module = loadImage(ptx.data(), log, result);
  if (result != CUDA_SUCCESS)
    failCompiling(result, log, kernel, file);
  return module;
}

Module KernelLoader::compileAndKeep(std::string_view ptx, const std::string &path, const std::string &kernel,
                                    const std::string &file) {
  const Driver &driver = Driver::get();
  JitLog log;
  LinkState link;
  driver.check(driver.api.linkCreate(log.count(), log.optionKeys(), log.optionValues(), link.out()),
               "starting the driver's compiler");
  CUresult result = driver.api.linkAddData(link.get(), CU_JIT_INPUT_PTX, const_cast<char *>(ptx.data()), ptx.size() + 1,
                                           kernel.c_str(), 0, nullptr, nullptr);
  void *cubin = nullptr; // the link state's
  size_t bytes = 0;
  if (result == CUDA_SUCCESS)
    result = driver.api.linkComplete(link.get(), &cubin, &bytes);
  if (result != CUDA_SUCCESS)
    failCompiling(result, log, kernel, file);
  JitLog loadLog;
  Module module = loadImage(cubin, loadLog, result);
  if (result != CUDA_SUCCESS)
    failCompiling(result, loadLog, kernel, file);
  keep(path, {static_cast<const std::byte *>(cubin), bytes});
  return module;
}

} // namespace qlr::cuda
