// Global memory of the emulator: buffers by address.
#pragma once

#include "runtime/emulator/Emulator.h"
#include "runtime/emulator/Shadow.h"

namespace qlr {

class EmulatorMemory::Registry {
public:
  struct Buffer {
    uint64_t base = 0, bytes = 0;
    bool readOnly = false;
    std::string name;
    emu::ShadowBytes shadow; // of writable ones
  };

  /// The buffer that `address` lies in, or null.
  Buffer *find(uint64_t address) {
    for (Buffer *buffer : order)
      if (address - buffer->base < buffer->bytes)
        return buffer;
    return nullptr;
  }

  /// For reports: "workspace+0x40 (of 1024 bytes)", or where the nearest buffer is.
  std::string describe(uint64_t address) const;

  /// Forgets every note; epochs start again at 1.
  void clearNotes();

  std::vector<std::unique_ptr<Buffer>> buffers; // by address
  std::vector<Buffer *> order;                  // as registered
  uint32_t nextEpoch = 1;                       // of global memory
};

} // namespace qlr
