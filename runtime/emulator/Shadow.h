// What the checker remembers of every byte: who wrote it last and who read it last.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qlr::emu {

/// A note of an access: the epoch it happened in, the thread, two bits. In shared memory an epoch is the thread's
/// clock; in global memory it is a number that stands for a pair of block and clock (Launch::chunks). 0: no access.
namespace tag {
constexpr uint32_t atomic = 1;
constexpr uint32_t more = 2; ///< a reader: not the only one; a writer: a copy that is still under way
constexpr uint32_t epochBits = 20;
constexpr uint32_t maxEpoch = (1u << epochBits) - 1;
constexpr uint32_t make(uint32_t epoch, uint32_t thread) { return epoch << 12 | thread << 2; }
constexpr uint32_t epoch(uint32_t tag) { return tag >> 12; }
constexpr uint32_t thread(uint32_t tag) { return tag >> 2 & 1023; }
} // namespace tag

/// Two tags for each byte; zero pages until touched.
class ShadowBytes {
public:
  ShadowBytes() = default;
  /// Throws Error when there is no address space.
  explicit ShadowBytes(uint64_t bytes);
  ShadowBytes(ShadowBytes &&other) noexcept;
  ShadowBytes &operator=(ShadowBytes &&other) noexcept;
  ~ShadowBytes();

  void clear();

  uint32_t *writers = nullptr, *readers = nullptr;

private:
  uint64_t bytes = 0;
};

/// What a look at the tags of a range found.
enum class Look {
  Clean,  ///< nothing to object to; notes were taken
  Closer, ///< tags that need a closer look, byte by byte
};

/// The quick looks: `bytes` bytes accessed by a thread whose tag is `own`, tags below `base` being of accesses that
/// happened before. `initialized`: bytes that nobody wrote (tag 0) need a closer look.
Look lookRead(const ShadowBytes &shadow, uint64_t offset, uint32_t bytes, uint32_t own, uint32_t base,
              bool initialized);
Look lookWrite(const ShadowBytes &shadow, uint64_t offset, uint32_t bytes, uint32_t own, uint32_t base);

} // namespace qlr::emu
