// PTX -> machine code of this device: by the driver's compiler, once; then from the cache folder.
#pragma once

#include "runtime/cuda/CudaObjects.h"

#include <string>
#include <string_view>

namespace qlr::cuda {

/// Loads kernels into the current context. Compiled code is kept in $XDG_CACHE_HOME/qlr/cubin under a key of the PTX,
/// the device's name and capability, and the driver's version; where that folder cannot be written, PTX is compiled
/// anew each time.
class KernelLoader {
public:
  explicit KernelLoader(const DeviceInfo &device);

  /// `ptx` is followed by a zero byte. Throws Error with the compiler's log; `kernel` and `file` stand in it.
  Module load(std::string_view ptx, const std::string &kernel, const std::string &file);

  unsigned compiled() const { return compiledCount; } ///< since construction, not from the cache
  /// Where the code of `ptx` is kept; empty: nowhere.
  std::string cachePath(std::string_view ptx) const;

private:
  Module compileAndKeep(std::string_view ptx, const std::string &path, const std::string &kernel,
                        const std::string &file);

  std::string folder; // empty: none
  std::string deviceKey;
  unsigned compiledCount = 0;
};

} // namespace qlr::cuda
