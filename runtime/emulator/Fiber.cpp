#include "runtime/emulator/Fiber.h"

#include "runtime/format/Error.h"

#include <string>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace qlr::emu {
namespace {

constexpr size_t page = 4096;
// Tops of stacks are moved against each other: the hot frames of a warp's lanes must not share the cache's sets.
constexpr size_t colourBytes = 192, colours = 32;
constexpr size_t stride = page + StackPool::bytes + 2 * page; // guard, stack, colours
constexpr size_t stacksInSlab = 64;
static_assert(colourBytes * colours <= 2 * page);

} // namespace

StackPool &StackPool::shared() {
  static StackPool pool;
  return pool;
}

StackPool::~StackPool() {
  for (void *slab : slabs)
    munmap(slab, stride * stacksInSlab);
}

void StackPool::give(std::byte *top) {
#ifdef __SANITIZE_ADDRESS__
  // A thread that was abandoned has left its frames' red zones.
  __asan_unpoison_memory_region(top - bytes, bytes);
#endif
  std::lock_guard guard(lock);
  free.push_back(top);
}

std::byte *StackPool::take() {
  std::lock_guard guard(lock);
  if (free.empty()) {
    void *slab = mmap(nullptr, stride * stacksInSlab, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab == MAP_FAILED)
      fail({.found = "no memory for the stacks of emulated threads",
            .expected = std::to_string(stride * stacksInSlab) + " bytes"});
    slabs.push_back(slab);
    for (size_t i = 0; i < stacksInSlab; ++i) {
      std::byte *base = static_cast<std::byte *>(slab) + i * stride;
      mprotect(base, page, PROT_NONE);
      free.push_back(base + page + bytes + colourBytes * (colour++ % colours));
    }
  }
  std::byte *top = free.back();
  free.pop_back();
  return top;
}

} // namespace qlr::emu
