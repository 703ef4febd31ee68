//===- Hash.h - XXH64, the fingerprint of tensors, headers and files ------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace qlr {

/// XXH64 with seed 0.
uint64_t xxh64(std::span<const std::byte> bytes);

/// 16 lower-case hexadecimal digits.
std::string hex64(uint64_t value);

/// hex64(xxh64(bytes)).
std::string xxh64Hex(std::span<const std::byte> bytes);

/// XXH64 of bytes that arrive in pieces.
class Hasher {
public:
  Hasher();
  ~Hasher();
  Hasher(Hasher &&) noexcept;
  Hasher &operator=(Hasher &&) noexcept;

  void update(std::span<const std::byte> bytes);
  uint64_t digest() const;
  /// Begins anew.
  void reset();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace qlr
