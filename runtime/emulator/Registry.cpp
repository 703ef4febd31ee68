#include "runtime/emulator/Registry.h"

#include <algorithm>
#include <cstdio>

namespace qlr {
namespace {

std::string hex(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

} // namespace

EmulatorMemory::EmulatorMemory() : impl(std::make_unique<Registry>()) {}
EmulatorMemory::~EmulatorMemory() = default;
EmulatorMemory::EmulatorMemory(EmulatorMemory &&) noexcept = default;
EmulatorMemory &EmulatorMemory::operator=(EmulatorMemory &&) noexcept = default;

void EmulatorMemory::registerBuffer(const void *base, uint64_t bytes, bool readOnly, const std::string &name) {
  if (bytes == 0)
    return;
  uint64_t begin = reinterpret_cast<uintptr_t>(base);
  for (const auto &other : impl->buffers)
    if (begin < other->base + other->bytes && other->base < begin + bytes)
      fail({.tensor = "emulated memory",
            .found = "buffer '" + name + "' of " + std::to_string(bytes) + " bytes inside '" + other->name + "'",
            .expected = "buffers that do not overlap"});
  auto buffer = std::make_unique<Registry::Buffer>();
  buffer->base = begin;
  buffer->bytes = bytes;
  buffer->readOnly = readOnly;
  buffer->name = name;
  if (!readOnly)
    buffer->shadow = emu::ShadowBytes(bytes);
  impl->order.push_back(buffer.get());
  auto place =
      std::find_if(impl->buffers.begin(), impl->buffers.end(), [&](const auto &other) { return other->base > begin; });
  impl->buffers.insert(place, std::move(buffer));
}

void EmulatorMemory::unregisterBuffer(const void *base) {
  uint64_t begin = reinterpret_cast<uintptr_t>(base);
  auto found = std::find_if(impl->buffers.begin(), impl->buffers.end(),
                            [&](const auto &buffer) { return buffer->base == begin; });
  if (found == impl->buffers.end())
    fail({.tensor = "emulated memory", .found = "no buffer at " + hex(begin)});
  std::erase(impl->order, found->get());
  impl->buffers.erase(found);
}

std::string EmulatorMemory::Registry::describe(uint64_t address) const {
  const Buffer *below = nullptr, *above = nullptr;
  for (const auto &buffer : buffers) {
    if (buffer->base <= address)
      below = buffer.get();
    else if (!above)
      above = buffer.get();
  }
  auto of = [](const Buffer &buffer) { return " '" + buffer.name + "' of " + std::to_string(buffer.bytes) + " bytes"; };
  if (below && address - below->base < below->bytes)
    return "byte " + std::to_string(address - below->base) + " of" + of(*below);
  // Only what is close is of help.
  constexpr uint64_t close = 1u << 20;
  if (below && address - below->base - below->bytes < close)
    return std::to_string(address - below->base - below->bytes) + " bytes behind the end of" + of(*below);
  if (above && above->base - address < close)
    return std::to_string(above->base - address) + " bytes before" + of(*above);
  return "address " + hex(address) + ", near no buffer";
}

void EmulatorMemory::Registry::clearNotes() {
  for (const auto &buffer : buffers)
    buffer->shadow.clear();
  nextEpoch = 1;
}

} // namespace qlr
