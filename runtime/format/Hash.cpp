#include "runtime/format/Hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace qlr {

struct Hasher::State {
  XXH64_state_t xxh;
};

uint64_t xxh64(std::span<const std::byte> bytes) { return XXH64(bytes.data(), bytes.size(), 0); }

std::string hex64(uint64_t value) {
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4)
    text[static_cast<size_t>(i)] = "0123456789abcdef"[value & 15];
  return text;
}

std::string xxh64Hex(std::span<const std::byte> bytes) { return hex64(xxh64(bytes)); }

Hasher::Hasher() : state(std::make_unique<State>()) { reset(); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher &&) noexcept = default;
Hasher &Hasher::operator=(Hasher &&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (!bytes.empty())
    XXH64_update(&state->xxh, bytes.data(), bytes.size());
}
uint64_t Hasher::digest() const { return XXH64_digest(&state->xxh); }
void Hasher::reset() { XXH64_reset(&state->xxh, 0); }

} // namespace qlr
