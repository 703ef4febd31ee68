#include "runtime/exec/KernelLibrary.h"

#include "runtime/format/Error.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace qlr {
namespace {

#if defined(__x86_64__)
constexpr uint16_t thisMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t thisMachine = EM_AARCH64;
#else
constexpr uint16_t thisMachine = EM_NONE;
#endif

/// Says what is wrong with `image` before the dynamic linker does, whose messages speak of paths that do not exist.
void checkElf(std::span<const std::byte> image, const std::string &file, const std::string &tensor) {
  Elf64_Ehdr header;
  if (image.size() < sizeof header || std::memcmp(image.data(), ELFMAG, SELFMAG) != 0)
    fail({.file = file,
          .tensor = tensor,
          .found = "no ELF file",
          .expected = "a shared object",
          .advice = "compile again"});
  std::memcpy(&header, image.data(), sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN)
    fail({.file = file,
          .tensor = tensor,
          .found = "another kind of ELF file",
          .expected = "a 64-bit shared object",
          .advice = "compile again"});
  if (header.e_machine != thisMachine)
    fail({.file = file,
          .tensor = tensor,
          .found = "code for machine " + std::to_string(header.e_machine),
          .expected = "code for machine " + std::to_string(thisMachine) + " (ELF numbers)",
          .advice = "compile on a machine of this kind"});
}

} // namespace

KernelLibrary KernelLibrary::open(std::span<const std::byte> image, const std::string &file,
                                  const std::string &tensor) {
  checkElf(image, file, tensor);
  KernelLibrary library;
  library.file = file;
  library.tensor = tensor;
  library.descriptor = memfd_create("qlr-kernels", MFD_CLOEXEC);
  if (library.descriptor < 0)
    fail({.file = file,
          .tensor = tensor,
          .found = std::string("memfd_create: ") + std::strerror(errno),
          .expected = "anonymous memory for the kernels"});
  for (size_t done = 0; done < image.size();) {
    ssize_t written = ::write(library.descriptor, image.data() + done, image.size() - done);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      fail({.file = file,
            .tensor = tensor,
            .found = std::string("write: ") + std::strerror(errno),
            .expected = std::to_string(image.size()) + " bytes of memory for the kernels"});
    done += static_cast<size_t>(written);
  }
  // The linker recognises a library by its path before it looks at the file, so the path must never have been used for
  // another one: the descriptor stays open as long as the library, and close() leaves it open if the linker kept it.
  library.path = "/proc/self/fd/" + std::to_string(library.descriptor);
  library.handle = dlopen(library.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library.handle) {
    const char *why = dlerror();
    fail({.file = file,
          .tensor = tensor,
          .found = std::string("dlopen: ") + (why ? why : "no reason given"),
          .expected = "kernels that this system loads"});
  }
  return library;
}

KernelLibrary::KernelLibrary(KernelLibrary &&other) noexcept { *this = std::move(other); }

KernelLibrary &KernelLibrary::operator=(KernelLibrary &&other) noexcept {
  if (this != &other) {
    close();
    file = std::move(other.file);
    tensor = std::move(other.tensor);
    path = std::move(other.path);
    descriptor = std::exchange(other.descriptor, -1);
    handle = std::exchange(other.handle, nullptr);
  }
  return *this;
}

KernelLibrary::~KernelLibrary() { close(); }

void KernelLibrary::close() {
  if (handle) {
    dlclose(handle);
    handle = nullptr;
    if (void *kept = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD)) {
      dlclose(kept);
      return;
    }
  }
  if (descriptor >= 0)
    ::close(descriptor);
  descriptor = -1;
}

StageFunction KernelLibrary::find(const std::string &symbol) const {
  return reinterpret_cast<StageFunction>(address(symbol));
}

void *KernelLibrary::address(const std::string &symbol) const {
  void *address = handle ? dlsym(handle, symbol.c_str()) : nullptr;
  if (!address)
    fail({.file = file,
          .tensor = tensor,
          .found = "no symbol '" + symbol + "'",
          .expected = "every kernel of the plan",
          .advice = "compile again"});
  return address;
}

} // namespace qlr
