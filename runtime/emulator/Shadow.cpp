// Compiled for AVX2: these loops run for every access.
#include "runtime/emulator/Shadow.h"

#include "runtime/format/Error.h"

#include <sys/mman.h>
#include <utility>

namespace qlr::emu {
namespace {

uint32_t *map(uint64_t bytes) {
  void *memory = mmap(nullptr, bytes * 4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    fail({.found = "no address space for the emulator's notes"});
  return static_cast<uint32_t *>(memory);
}

/// N tags at a time, with the operators of vectors, which any instruction set has in some form.
template <uint32_t N> struct Tags {
  typedef uint32_t Vector __attribute__((vector_size(N * 4)));
  static Vector load(const uint32_t *from) {
    Vector value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
  }
  static void store(uint32_t *to, Vector value) { __builtin_memcpy(to, &value, sizeof value); }
  static Vector all(uint32_t value) { return Vector{} + value; }
  static bool any(Vector bits) {
    uint64_t words[(N + 1) / 2] = {};
    __builtin_memcpy(words, &bits, sizeof bits);
    uint64_t some = 0;
    for (uint64_t word : words)
      some |= word;
    return some != 0;
  }
};

/// `pieces` times N tags.
template <uint32_t N>
inline Look read(uint32_t *writers, uint32_t *readers, uint32_t pieces, uint32_t own, uint32_t base, uint32_t lowest) {
  using T = Tags<N>;
  using Vector = typename T::Vector;
  Vector bad = {};
  for (uint32_t i = 0; i < pieces; ++i) {
    Vector w = T::load(writers + i * N), r = T::load(readers + i * N);
    bad |= (w & tag::more) | Vector(w < lowest) | Vector((w >= base) & ((w | tag::atomic) != (own | tag::atomic)));
    // Where several threads of this epoch have read, another one changes nothing.
    Vector among = Vector((r & tag::more) != 0) & Vector(((r ^ own) >> 12) == 0);
    bad |= Vector((r >= base) & ((r | 3u) != (own | 3u))) & ~among;
  }
  if (T::any(bad))
    return Look::Closer;
  for (uint32_t i = 0; i < pieces; ++i) {
    Vector r = T::load(readers + i * N), keep = Vector(r >= base);
    T::store(readers + i * N, (r & keep) | (T::all(own) & ~keep));
  }
  return Look::Clean;
}

template <uint32_t N>
inline Look write(uint32_t *writers, uint32_t *readers, uint32_t pieces, uint32_t own, uint32_t base) {
  using T = Tags<N>;
  using Vector = typename T::Vector;
  Vector bad = {};
  for (uint32_t i = 0; i < pieces; ++i) {
    Vector w = T::load(writers + i * N), r = T::load(readers + i * N);
    bad |= (w & tag::more) | Vector((w >= base) & ((w | tag::atomic) != (own | tag::atomic))) |
           Vector((r >= base) & ((r | tag::atomic) != (own | tag::atomic)));
  }
  if (T::any(bad))
    return Look::Closer;
  for (uint32_t i = 0; i < pieces; ++i)
    T::store(writers + i * N, T::all(own));
  return Look::Clean;
}

} // namespace

ShadowBytes::ShadowBytes(uint64_t size) : bytes(size) {
  if (bytes) {
    writers = map(bytes);
    readers = map(bytes);
  }
}

ShadowBytes::ShadowBytes(ShadowBytes &&other) noexcept { *this = std::move(other); }

ShadowBytes &ShadowBytes::operator=(ShadowBytes &&other) noexcept {
  std::swap(writers, other.writers);
  std::swap(readers, other.readers);
  std::swap(bytes, other.bytes);
  return *this;
}

ShadowBytes::~ShadowBytes() {
  if (writers)
    munmap(writers, bytes * 4);
  if (readers)
    munmap(readers, bytes * 4);
}

void ShadowBytes::clear() {
  if (!bytes)
    return;
  // Small arrays are cheaper to write than to map anew.
  if (bytes <= 1u << 18) {
    for (uint64_t i = 0; i < bytes; ++i)
      writers[i] = readers[i] = 0;
    return;
  }
  madvise(writers, bytes * 4, MADV_DONTNEED);
  madvise(readers, bytes * 4, MADV_DONTNEED);
}

Look lookRead(const ShadowBytes &shadow, uint64_t offset, uint32_t bytes, uint32_t own, uint32_t base,
              bool initialized) {
  uint32_t *writers = shadow.writers + offset, *readers = shadow.readers + offset;
  uint32_t lowest = initialized ? 1 : 0;
  switch (bytes) {
  case 1:
    return read<1>(writers, readers, 1, own, base, lowest);
  case 2:
    return read<2>(writers, readers, 1, own, base, lowest);
  case 4:
    return read<4>(writers, readers, 1, own, base, lowest);
  case 8:
    return read<8>(writers, readers, 1, own, base, lowest);
  case 16:
    return read<8>(writers, readers, 2, own, base, lowest);
  default:
    return Look::Closer;
  }
}

Look lookWrite(const ShadowBytes &shadow, uint64_t offset, uint32_t bytes, uint32_t own, uint32_t base) {
  uint32_t *writers = shadow.writers + offset, *readers = shadow.readers + offset;
  switch (bytes) {
  case 1:
    return write<1>(writers, readers, 1, own, base);
  case 2:
    return write<2>(writers, readers, 1, own, base);
  case 4:
    return write<4>(writers, readers, 1, own, base);
  case 8:
    return write<8>(writers, readers, 1, own, base);
  case 16:
    return write<8>(writers, readers, 2, own, base);
  default:
    return Look::Closer;
  }
}

} // namespace qlr::emu
