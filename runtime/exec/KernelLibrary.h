// The native code of an artifact, opened without a file on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qlr {

/// A stage of a kernel: does items [begin, end). `args` are the addresses that a plan's step names.
using StageFunction = void (*)(void *const *args, int64_t begin, int64_t end);

/// An ELF shared object held in anonymous memory and opened by the dynamic linker. Native code runs when it is opened:
/// an artifact is to be trusted like a program.
class KernelLibrary {
public:
  /// Copies `image` into anonymous memory and opens it. `file` and `tensor` name it in errors, which are thrown as
  /// Error when the image is not a shared object for this machine.
  static KernelLibrary open(std::span<const std::byte> image, const std::string &file, const std::string &tensor);

  KernelLibrary() = default;
  KernelLibrary(KernelLibrary &&other) noexcept;
  KernelLibrary &operator=(KernelLibrary &&other) noexcept;
  ~KernelLibrary();

  /// The exported function `symbol`; throws Error when there is none.
  StageFunction find(const std::string &symbol) const;

  /// The address of `symbol`; throws Error when there is none.
  void *address(const std::string &symbol) const;

private:
  void close();

  std::string file, tensor, path;
  int descriptor = -1;
  void *handle = nullptr;
};

} // namespace qlr
