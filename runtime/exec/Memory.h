// How much memory there is, and buffers that take no more of it than they say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace qlr {

/// Bytes that this process can still use: what the kernel calls available, bounded by the control group's limit where
/// there is one.
uint64_t availableHostMemory();

/// The peak resident size of this process in bytes.
uint64_t peakResidentMemory();

/// "22GB", "512MB", "1.5GiB" or plain bytes; throws Error naming `option` on anything else.
uint64_t parseByteSize(const std::string &text, const std::string &option);

/// "1.24 GB": powers of ten, as everywhere in qlr.
std::string formatBytes(uint64_t bytes);

/// Zeroed, page-aligned, private memory that is committed when touched. Move-only.
class HostBuffer {
public:
  HostBuffer() = default;
  /// Throws Error with the size when the system refuses. `what` names the buffer.
  HostBuffer(uint64_t bytes, const std::string &what);
  HostBuffer(HostBuffer &&other) noexcept;
  HostBuffer &operator=(HostBuffer &&other) noexcept;
  ~HostBuffer();

  std::byte *data() const { return address; }
  uint64_t size() const { return bytes; }

private:
  std::byte *address = nullptr;
  uint64_t bytes = 0;
};

} // namespace qlr
